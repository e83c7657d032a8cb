//! Facts about this process and the end of it.

/// Whether the effective user is root.
pub fn is_root() -> bool {
    // SAFETY: geteuid takes nothing, touches no memory and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// The effective user and group.
pub fn ids() -> (u32, u32) {
    // SAFETY: both calls take nothing, touch no memory and cannot fail.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// Starts a program whose signals have their defaults, whatever the caller blocks or ignores.
///
/// # Errors
/// It cannot be started.
pub fn spawn_with_clear_signals(
    command: &mut std::process::Command,
) -> std::io::Result<std::process::Child> {
    use std::os::unix::process::CommandExt;
    let ignored = crate::spawn::ignored_signals()?;
    // SAFETY: what runs between fork and exec is async-signal-safe.
    unsafe { command.pre_exec(move || crate::spawn::reset_signals(ignored)) };
    command.spawn()
}

/// The host name.
pub fn host_name() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    text.trim().to_owned()
}
