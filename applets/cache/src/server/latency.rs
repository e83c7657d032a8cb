//! Moments at which something took long (`latency-monitor-threshold`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Moments that are kept of each event.
const SAMPLES: usize = 160;

/// What took long, newest last.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Unix time in seconds and duration in ms.
    pub samples: VecDeque<(i64, u64)>,
    /// The longest duration ever.
    pub max_ms: u64,
}

/// All events.
#[derive(Default)]
pub struct Monitor(Mutex<BTreeMap<&'static str, Series>>);

impl Monitor {
    /// An event took long.
    pub fn add(&self, event: &'static str, now_s: i64, ms: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let series = all.entry(event).or_default();
        series.max_ms = series.max_ms.max(ms);
        // The worst of a second stands for it.
        if let Some((at, longest)) = series.samples.back_mut()
            && *at == now_s
        {
            *longest = ms.max(*longest);
            return;
        }
        if series.samples.len() == SAMPLES {
            series.samples.pop_front();
        }
        series.samples.push_back((now_s, ms));
    }

    /// All events with what is known of them.
    pub fn all(&self) -> BTreeMap<&'static str, Series> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets the events that `forget` names; how many.
    pub fn reset(&self, forget: impl Fn(&str) -> bool) -> usize {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.len();
        all.retain(|name, _| !forget(name));
        before - all.len()
    }
}
