//! Which devices the processes of a version 2 cgroup may use: a BPF program of type
//! `BPF_PROG_TYPE_CGROUP_DEVICE` (bpf(2), linux/bpf.h), since that version has no file for it.
//!
//! The rules are compiled so that the last one that matches decides, as the version 1 files do:
//! the program tries them from the last to the first.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A kind of device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A block device.
    Block,
    /// A character device.
    Character,
}

/// Allows or denies; what is `None` matches everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The verdict.
    pub allow: bool,
    /// Block or character.
    pub kind: Option<Kind>,
    /// Major number.
    pub major: Option<u32>,
    /// Minor number.
    pub minor: Option<u32>,
    /// It is about reading,
    pub read: bool,
    /// about writing,
    pub write: bool,
    /// about making a node.
    pub make: bool,
}

const ACCESS_MAKE: i32 = 1;
const ACCESS_READ: i32 = 2;
const ACCESS_WRITE: i32 = 4;

/// `struct bpf_insn`: operation, registers (destination in the low half), offset, constant.
fn instruction(code: u8, destination: u8, source: u8, offset: i16, k: i32) -> u64 {
    u64::from(code)
        | u64::from(destination | source << 4) << 8
        | u64::from(offset as u16) << 16
        | u64::from(k as u32) << 32
}

const LOAD_WORD: u8 = 0x61; // dst = *(u32 *)(src + off)
const MOVE: u8 = 0xb4; // w(dst) = k
const MOVE_REGISTER: u8 = 0xbc; // w(dst) = w(src)
const AND: u8 = 0x54; // w(dst) &= k
const SHIFT_RIGHT: u8 = 0x74; // w(dst) >>= k
const IF_NOT_EQUAL: u8 = 0x55; // if dst != k: pc += off
const EXIT: u8 = 0x95;

/// The program: r2 device type, r3 access, r4 major, r5 minor; r0 is the verdict.
fn compile(rules: &[Rule]) -> Vec<u64> {
    let mut code = vec![
        instruction(LOAD_WORD, 2, 1, 0, 0),
        instruction(MOVE_REGISTER, 3, 2, 0, 0),
        instruction(AND, 2, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT, 3, 0, 0, 16),
        instruction(LOAD_WORD, 4, 1, 4, 0),
        instruction(LOAD_WORD, 5, 1, 8, 0),
    ];
    for rule in rules.iter().rev() {
        let mut tests: Vec<(u8, i32)> = Vec::new();
        match rule.kind {
            Some(Kind::Block) => tests.push((2, 1)),
            Some(Kind::Character) => tests.push((2, 2)),
            None => {}
        }
        if let Some(major) = rule.major {
            tests.push((4, major as i32));
        }
        if let Some(minor) = rule.minor {
            tests.push((5, minor as i32));
        }
        let bit = |on: bool, bit: i32| if on { bit } else { 0 };
        let others = 7 & !(bit(rule.make, ACCESS_MAKE)
            | bit(rule.read, ACCESS_READ)
            | bit(rule.write, ACCESS_WRITE));
        // Behind the tests come three instructions for the access and two for the verdict.
        let access = if others == 0 { 0 } else { 3 };
        for (number, (register, value)) in tests.iter().enumerate() {
            let skip = (tests.len() - number - 1 + access + 2) as i16;
            code.push(instruction(IF_NOT_EQUAL, *register, 0, skip, *value));
        }
        if others != 0 {
            code.push(instruction(MOVE_REGISTER, 1, 3, 0, 0));
            code.push(instruction(AND, 1, 0, 0, others));
            code.push(instruction(IF_NOT_EQUAL, 1, 0, 2, 0));
        }
        code.push(instruction(MOVE, 0, 0, 0, rule.allow.into()));
        code.push(instruction(EXIT, 0, 0, 0, 0));
    }
    code.push(instruction(MOVE, 0, 0, 0, 0));
    code.push(instruction(EXIT, 0, 0, 0, 0));
    code
}

/// The part of `union bpf_attr` that loading a program takes.
#[repr(C)]
#[derive(Default)]
struct LoadAttributes {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// The part of `union bpf_attr` that attaching a program takes.
#[repr(C)]
struct AttachAttributes {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;

/// Lets `rules` decide for the processes of `cgroup`, from now to the group's end.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN, `EINVAL` for a kernel without these programs.
pub fn attach(cgroup: BorrowedFd<'_>, rules: &[Rule]) -> io::Result<()> {
    let code = compile(rules);
    let load = LoadAttributes {
        kind: TYPE_CGROUP_DEVICE,
        count: code.len() as u32,
        instructions: code.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        ..LoadAttributes::default()
    };
    // SAFETY: the attributes and what they point to are readable for the length of the call.
    let fd = unsafe {
        libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const load, size_of::<LoadAttributes>())
    };
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just returned a new descriptor that nobody else owns.
    let program = unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) };
    let attach = AttachAttributes {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: ATTACH_CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    // SAFETY: the attributes are readable for the length of the call.
    let done = unsafe {
        libc::syscall(libc::SYS_bpf, PROG_ATTACH, &raw const attach, size_of::<AttachAttributes>())
    };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_with_everything_tests_everything() {
        let all = Rule {
            allow: false,
            kind: None,
            major: None,
            minor: None,
            read: true,
            write: true,
            make: true,
        };
        let null = Rule {
            allow: true,
            kind: Some(Kind::Character),
            major: Some(1),
            minor: Some(3),
            make: false,
            ..all
        };
        // Head, three tests, access, verdict; verdict; default.
        assert_eq!(compile(&[all, null]).len(), 6 + 3 + 3 + 2 + 2 + 2);
    }
}
