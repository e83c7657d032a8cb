//! Binding of window functions.

use super::Compiler;
use super::expr::collation_of;
use crate::ast::{self, FrameBound, FrameExclude, FrameUnit, Over};
use crate::collate::Collation;
use crate::error::{Error, Result};
use crate::func::{self, Found};
use crate::plan::{Bounds, Expr, WindowCall, WindowKind, WindowPlan};

impl Compiler<'_> {
    pub(super) fn window_call(&mut self, call: &ast::Call) -> Result<Expr> {
        let args = call.args.len();
        let kind = match (func::window(&call.name, args), func::aggregate(&call.name, args)) {
            (Found::Function(f), _) => WindowKind::Builtin(f),
            (_, Found::Function(f)) => WindowKind::Aggregate(f),
            (Found::WrongArgs, _) | (_, Found::WrongArgs) => {
                let text = format!("wrong number of arguments to function {}()", call.name);
                return Err(Error::new(text).at(call.offset));
            }
            _ => {
                let text = match func::scalar(&call.name, args) {
                    Found::Unknown => format!("no such function: {}", call.name),
                    _ => format!("{}() may not be used as a window function", call.name),
                };
                return Err(Error::new(text).at(call.offset));
            }
        };
        if self.frames.is_empty() || !self.frame().windows_allowed {
            let text = format!("misuse of window function {}()", call.name);
            return Err(Error::new(text).at(call.offset));
        }
        if call.distinct {
            return Err(Error::new("DISTINCT is not supported for window functions"));
        }
        let known = self.frame().window_calls.iter().find(|(c, _)| c == call).map(|(_, reg)| *reg);
        if let Some(reg) = known {
            return Ok(Expr::Reg { up: 0, reg });
        }
        let Some(over) = &call.over else { return Err(Error::new("misuse of window function")) };
        let window = self.resolve_window(over)?;
        self.frame().windows_allowed = false;
        let bound = self.bind_window(call, kind, &window);
        self.frame().windows_allowed = true;
        let reg = bound?;
        self.frame().window_calls.push((call.clone(), reg));
        Ok(Expr::Reg { up: 0, reg })
    }

    fn bind_window(
        &mut self,
        call: &ast::Call,
        kind: WindowKind,
        window: &ast::Window,
    ) -> Result<u16> {
        let mut args =
            call.args.iter().map(|arg| self.bind_value(arg)).collect::<Result<Vec<_>>>()?;
        if func::nests_json(&call.name) {
            args = args.into_iter().map(|arg| self.blob_arg(arg)).collect();
        }
        let filter = call.filter.as_ref().map(|f| self.bind_value(f)).transpose()?;
        if filter.is_some() && matches!(kind, WindowKind::Builtin(_)) {
            return Err(Error::new(
                "FILTER clause may only be used with aggregate window functions",
            ));
        }
        let collation = args.first().map_or(Collation::Binary, |arg| collation_of(arg).0);
        let frame = self.frame();
        let reg = frame.registers as u16;
        frame.registers += 1;
        let plan = WindowCall { function: kind, args, collation, filter, reg };
        if let Some((_, known)) = self.frame().windows.iter_mut().find(|(w, _)| w == window) {
            known.calls.push(plan);
            return Ok(reg);
        }
        let mut partition = Vec::new();
        for expr in &window.partition_by {
            let bound = self.bind_value(expr)?;
            let collation = collation_of(&bound).0;
            partition.push((bound, collation));
        }
        let order =
            window.order_by.iter().map(|t| self.sort_key_of(t)).collect::<Result<Vec<_>>>()?;
        let (unit, start, end, exclude) = match &window.frame {
            None => {
                (FrameUnit::Range, Bounds::Unbounded, Bounds::CurrentRow, FrameExclude::NoOthers)
            }
            Some(frame) => {
                let valued = [&frame.start, &frame.end]
                    .iter()
                    .any(|b| matches!(b, FrameBound::Preceding(_) | FrameBound::Following(_)));
                if frame.unit == FrameUnit::Range && valued && order.len() != 1 {
                    return Err(Error::new(
                        "RANGE with offset PRECEDING/FOLLOWING requires one ORDER BY expression",
                    ));
                }
                (frame.unit, self.bounds(&frame.start)?, self.bounds(&frame.end)?, frame.exclude)
            }
        };
        let plan = WindowPlan { partition, order, unit, start, end, exclude, calls: vec![plan] };
        self.frame().windows.push((window.clone(), plan));
        Ok(reg)
    }

    fn bounds(&mut self, bound: &FrameBound) -> Result<Bounds> {
        Ok(match bound {
            FrameBound::UnboundedPreceding | FrameBound::UnboundedFollowing => Bounds::Unbounded,
            FrameBound::CurrentRow => Bounds::CurrentRow,
            FrameBound::Preceding(expr) => Bounds::Preceding(self.bind_value(expr)?),
            FrameBound::Following(expr) => Bounds::Following(self.bind_value(expr)?),
        })
    }

    fn resolve_window(&mut self, over: &Over) -> Result<ast::Window> {
        match over {
            Over::Name(name) => self.named_window(name),
            Over::Window(window) => {
                let Some(base) = &window.base else { return Ok(window.clone()) };
                let base_window = self.named_window(base)?;
                let refuse = |what: &str| {
                    Err(Error::new(format!("cannot override {what} of window: {base}")))
                };
                if !window.partition_by.is_empty() {
                    return refuse("PARTITION clause");
                }
                if !base_window.order_by.is_empty() && !window.order_by.is_empty() {
                    return refuse("ORDER BY clause");
                }
                if base_window.frame.is_some() {
                    return refuse("frame specification");
                }
                let mut merged = base_window;
                if !window.order_by.is_empty() {
                    merged.order_by.clone_from(&window.order_by);
                }
                merged.frame.clone_from(&window.frame);
                Ok(merged)
            }
        }
    }

    fn named_window(&mut self, name: &str) -> Result<ast::Window> {
        let named = &self.frame().named_windows;
        let found = named.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).cloned();
        let (_, window) = found.ok_or_else(|| Error::new(format!("no such window: {name}")))?;
        self.resolve_window(&Over::Window(window))
    }
}
