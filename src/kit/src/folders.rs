//! Where an applet keeps what outlives a run, by the XDG base directory specification 0.8.
//!
//! Root keeps state of the machine under `/var/lib/box` and `/run/box`; everybody else in their
//! home. A variable that is relative is ignored, as the specification asks.

use std::env;
use std::path::PathBuf;

use crate::Failure;

/// `$XDG_CONFIG_HOME/box/APPLET`, by default `~/.config/box/APPLET`.
///
/// # Errors
/// Neither the variable nor `HOME` is set.
pub fn config(applet: &str) -> Result<PathBuf, Failure> {
    home_based("XDG_CONFIG_HOME", ".config", applet)
}

/// `$XDG_DATA_HOME/box/APPLET`, by default `~/.local/share/box/APPLET`.
///
/// # Errors
/// Neither the variable nor `HOME` is set.
pub fn data(applet: &str) -> Result<PathBuf, Failure> {
    home_based("XDG_DATA_HOME", ".local/share", applet)
}

/// `$XDG_STATE_HOME/box/APPLET`, by default `~/.local/state/box/APPLET`: histories and logs.
///
/// # Errors
/// Neither the variable nor `HOME` is set.
pub fn state(applet: &str) -> Result<PathBuf, Failure> {
    home_based("XDG_STATE_HOME", ".local/state", applet)
}

/// Sockets and locks of this boot: `/run/box/APPLET` for root, else `$XDG_RUNTIME_DIR/box/APPLET`.
///
/// # Errors
/// Not root, and the variable is not set.
pub fn runtime(applet: &str) -> Result<PathBuf, Failure> {
    if box_sys::process::is_root() {
        return Ok(PathBuf::from("/run/box").join(applet));
    }
    absolute("XDG_RUNTIME_DIR").map(|dir| dir.join("box").join(applet)).ok_or_else(|| {
        Failure::new("XDG_RUNTIME_DIR is not set")
            .advise("try: export XDG_RUNTIME_DIR=/tmp/box-$USER")
    })
}

fn home_based(variable: &str, below_home: &str, applet: &str) -> Result<PathBuf, Failure> {
    let base = absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home)));
    base.map(|dir| dir.join("box").join(applet))
        .ok_or_else(|| Failure::new("HOME is not set").advise("try: export HOME=/root"))
}

fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
