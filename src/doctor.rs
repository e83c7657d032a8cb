//! `box doctor`: what of the machine each applet needs and has, what will be worse, and the command
//! that mends it.

use std::fmt::Write;

use box_kit::doctor::{Finding, Standing};
use box_kit::output::Styling;
use box_kit::{Applet, Exit, Failure};
use serde_json::json;

use crate::applets::APPLETS;

/// The findings as a table or as JSON, and the exit code: 1 if an applet cannot do its main job.
///
/// # Errors
/// `only` names no applet.
pub fn examine(only: Option<&str>, as_json: bool) -> Result<(String, Exit), Failure> {
    let chosen = match only {
        None => APPLETS.iter().collect(),
        Some(name) => {
            let unknown = || Failure::new("no such applet").about(name).exit(Exit::NOT_FOUND);
            vec![crate::dispatch::own(name).ok_or_else(unknown)?.0]
        }
    };
    let found: Vec<(&Applet, Vec<Finding>)> =
        chosen.into_iter().map(|applet| (applet, (applet.needs)())).collect();
    let lacks = found
        .iter()
        .flat_map(|(_, findings)| findings)
        .any(|finding| finding.standing == Standing::Missing);
    let exit = if lacks { Exit::FAILED } else { Exit::DONE };
    Ok((if as_json { json_of(&found) } else { table_of(&found) }, exit))
}

fn table_of(found: &[(&Applet, Vec<Finding>)]) -> String {
    let colour = Styling::of_stdout().colour;
    let width = found
        .iter()
        .flat_map(|(_, findings)| findings.iter().map(|finding| finding.need.len()))
        .max()
        .unwrap_or(0);
    let mut out = String::new();
    for (applet, findings) in found.iter().filter(|(_, findings)| !findings.is_empty()) {
        out.push_str(applet.name);
        out.push('\n');
        for finding in findings {
            let word = format!("{:7}", finding.standing.as_str());
            let word = match (colour, finding.standing) {
                (false, _) => word,
                (true, Standing::Good) => format!("\x1b[32m{word}\x1b[m"),
                (true, Standing::Worse) => format!("\x1b[33m{word}\x1b[m"),
                (true, Standing::Missing) => format!("\x1b[31m{word}\x1b[m"),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(out, "  {word}  {:width$}  {}", finding.need, finding.detail);
            if let Some(advice) = finding.advice {
                let _ = writeln!(out, "  {:7}  {:width$}  try: {advice}", "", "");
            }
        }
    }
    out
}

fn json_of(found: &[(&Applet, Vec<Finding>)]) -> String {
    let rows: Vec<_> = found
        .iter()
        .flat_map(|(applet, findings)| {
            findings.iter().map(|finding| {
                json!({
                    "applet": applet.name,
                    "need": finding.need,
                    "standing": finding.standing.as_str(),
                    "detail": finding.detail,
                    "advice": finding.advice,
                })
            })
        })
        .collect();
    format!("{:#}\n", serde_json::Value::Array(rows))
}
