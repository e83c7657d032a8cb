//! What an applet needs of the machine, and whether it is there: the lines of `box doctor`.

use std::net::{Ipv4Addr, TcpListener};

use box_sys::limits;

/// How a need is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is there.
    Good,
    /// The applet works without it, but something will be worse.
    Worse,
    /// The applet cannot do its main job.
    Missing,
}

impl Standing {
    /// `ok`, `worse`, `missing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Good => "ok",
            Standing::Worse => "worse",
            Standing::Missing => "missing",
        }
    }
}

/// A need and how it is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is needed, in a word or two.
    pub need: &'static str,
    /// How it is met.
    pub standing: Standing,
    /// What was found; where it is not met, what follows from that.
    pub detail: String,
    /// The command or setting that mends it.
    pub advice: Option<&'static str>,
}

impl Finding {
    /// A need that is met.
    pub fn good(need: &'static str, detail: impl Into<String>) -> Finding {
        Finding { need, standing: Standing::Good, detail: detail.into(), advice: None }
    }

    /// A need that is not met, and what mends it.
    pub fn worse(need: &'static str, detail: impl Into<String>, advice: &'static str) -> Finding {
        Finding { need, standing: Standing::Worse, detail: detail.into(), advice: Some(advice) }
    }

    /// A need without which the main job cannot be done, and what mends it.
    pub fn missing(need: &'static str, detail: impl Into<String>, advice: &'static str) -> Finding {
        Finding { need, standing: Standing::Missing, detail: detail.into(), advice: Some(advice) }
    }
}

/// Whether a server may open as many files as `wanted` connections take.
pub fn open_files(wanted: u64) -> Finding {
    let need = "open files";
    match limits::open_files() {
        Ok((_, hard)) if hard >= wanted => Finding::good(need, format!("up to {hard}")),
        Ok((_, hard)) => Finding::worse(
            need,
            format!("at most {hard}: fewer than {wanted} connections at once"),
            "ulimit -Hn 65536, or LimitNOFILE=65536 in the unit",
        ),
        Err(error) => Finding::worse(need, error.to_string(), "ulimit -Hn 65536"),
    }
}

/// Whether `port` of the loopback can be listened on.
pub fn port(need: &'static str, port: u16, advice: &'static str) -> Finding {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Finding::good(need, format!("{port} is free")),
        Err(error) => {
            let words = crate::exit::kernel_words(&error);
            Finding::worse(need, format!("{port}: {words}"), advice)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_worse_than_a_free_one() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let number = taken.local_addr().unwrap().port();
        let found = port("port", number, "take another");
        assert_eq!((found.standing, found.advice), (Standing::Worse, Some("take another")));
        assert_eq!(found.detail, format!("{number}: Address already in use"));
        drop(taken);
        assert_eq!(port("port", number, "take another").standing, Standing::Good);
    }

    #[test]
    fn a_limit_nobody_has_is_worse() {
        assert_eq!(open_files(u64::MAX - 1).standing, Standing::Worse);
        assert_eq!(open_files(1).standing, Standing::Good);
    }
}
