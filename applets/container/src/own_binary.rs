//! The binary of `box` itself, as containers may get to see it (CVE-2019-5736).
//!
//! A process of ours that enters a container can be found there in procfs, and its `exe` link leads
//! to the file on the machine. So whatever enters a container where others run already, and
//! whatever stays in one, is executed through a detached mount of the file that is read-only: who
//! opens the link finds a file that cannot be written, whatever becomes of the process.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use box_kit::Failure;
use box_sys::mount;
use box_sys::spawn::{self, StringArray};

const EXE: &std::ffi::CStr = c"/proc/self/exe";

/// The running binary behind a read-only mount of its own.
pub fn read_only_handle() -> Result<OwnedFd, Failure> {
    let tree = mount::clone_tree_at_path(EXE, false).map_err(Failure::os("/proc/self/exe"))?;
    let attributes = mount::RDONLY | mount::NOSUID | mount::NODEV;
    mount::set_attributes(tree.as_fd(), attributes, 0, false)
        .map_err(Failure::os("/proc/self/exe"))?;
    Ok(tree)
}

/// Makes sure that the calling process runs from a read-only mount: executes itself anew where it
/// does not. Where the mount cannot be made (without privilege, who cannot write the file either)
/// it goes on.
pub fn protect() -> Result<(), Failure> {
    if box_sys::at::is_on_read_only_mount(EXE).map_err(Failure::os("/proc/self/exe"))? {
        return Ok(());
    }
    let Ok(handle) = read_only_handle() else { return Ok(()) };
    let list = |bytes: Vec<u8>| -> Vec<CString> {
        let strings = bytes.split_inclusive(|byte| *byte == 0);
        strings.filter_map(|text| CString::from_vec_with_nul(text.to_vec()).ok()).collect()
    };
    let path = "/proc/self/cmdline";
    let args = list(std::fs::read(path).map_err(Failure::os(path))?);
    let env = std::env::vars_os().filter_map(|(name, value)| {
        let mut entry = name;
        entry.push("=");
        entry.push(value);
        CString::new(std::os::unix::ffi::OsStringExt::into_vec(entry)).ok()
    });
    let env = StringArray::new(env.collect());
    let error = spawn::execute_file(handle.as_fd(), &StringArray::new(args), &env);
    Err(Failure::os("/proc/self/exe")(error))
}
