//! `linux.seccomp` into a filter.

use box_kit::Failure;
use box_sys::credentials::Instruction;

use super::spec::Seccomp;
use crate::seccomp::{self, Action, Architecture, Condition, Operator, Profile, Rule};

/// `SECCOMP_FILTER_FLAG_*` by name.
fn flag(name: &str) -> Option<u64> {
    Some(match name {
        "SECCOMP_FILTER_FLAG_TSYNC" => 1,
        "SECCOMP_FILTER_FLAG_LOG" => 2,
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => 4,
        _ => return None,
    })
}

fn action(field: &str, name: &str, errno: Option<u16>) -> Result<Action, Failure> {
    let errno = errno.unwrap_or(libc::EPERM as u16);
    Ok(match name {
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_ERRNO" => Action::Errno(errno),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_TRACE" => Action::Trace(errno),
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_NOTIFY" => {
            let reason = "a notification listener is not supported";
            return Err(Failure::new(reason).about(field));
        }
        other => return Err(unknown(field, other)),
    })
}

fn unknown(field: &str, value: &str) -> Failure {
    Failure::new(format!("not a known value: {value:?}")).about(field)
}

fn operator(field: &str, name: &str) -> Result<Operator, Failure> {
    Ok(match name {
        "SCMP_CMP_NE" => Operator::NotEqual,
        "SCMP_CMP_LT" => Operator::Less,
        "SCMP_CMP_LE" => Operator::LessOrEqual,
        "SCMP_CMP_EQ" => Operator::Equal,
        "SCMP_CMP_GE" => Operator::GreaterOrEqual,
        "SCMP_CMP_GT" => Operator::Greater,
        "SCMP_CMP_MASKED_EQ" => Operator::MaskedEqual,
        other => return Err(unknown(field, other)),
    })
}

/// The filter and the flags to install it with. A call that this machine does not have is passed
/// over: profiles are written for many.
pub fn compile(seccomp: &Seccomp) -> Result<(Vec<Instruction>, u64), Failure> {
    let mut flags = 0;
    for name in &seccomp.flags {
        flags |= flag(name).ok_or_else(|| unknown("linux.seccomp.flags", name))?;
    }
    let profile = profile(seccomp)?;
    Ok((seccomp::compile(&profile), flags))
}

fn profile(seccomp: &Seccomp) -> Result<Profile, Failure> {
    let field = "linux.seccomp.defaultAction";
    let default = action(field, &seccomp.default_action, seccomp.default_errno_ret)?;
    let mut architectures = vec![Architecture::X86_64];
    for name in &seccomp.architectures {
        match name.as_str() {
            "SCMP_ARCH_X86" => architectures.push(Architecture::X86),
            "SCMP_ARCH_X32" => architectures.push(Architecture::X32),
            name if name.starts_with("SCMP_ARCH_") => {}
            name => return Err(unknown("linux.seccomp.architectures", name)),
        }
    }
    let mut rules = Vec::new();
    for (number, rule) in seccomp.syscalls.iter().enumerate() {
        let field = format!("linux.seccomp.syscalls[{number}]");
        let action = action(&format!("{field}.action"), &rule.action, rule.errno_ret)?;
        let mut conditions = Vec::new();
        for argument in &rule.args {
            let field = format!("{field}.args");
            if argument.index > 5 {
                return Err(unknown(&format!("{field}.index"), &argument.index.to_string()));
            }
            conditions.push(Condition {
                index: argument.index,
                operator: operator(&format!("{field}.op"), &argument.op)?,
                value: argument.value,
                second: argument.value_two,
            });
        }
        rules.push(Rule { names: rule.names.clone(), action, conditions });
    }
    Ok(Profile { default, rules, architectures })
}
