//! The steps that make the process what it is to be, up to its program.

use box_kit::Failure;
use box_sys::at;
use box_sys::credentials::{
    Capabilities, CapabilitySets, capability_number, permitted_capabilities,
};
use box_sys::spawn::{Scheduling, StringArray};

use super::super::plan::{HookStep, Program, Slot, Step};
use super::mounts::place;
use super::{Builder, Filter, bad, c_string};
use crate::oci::options;
use crate::oci::spec::{CapabilityNames, Hook, Process};

/// What the end of the plan depends on.
pub struct Tail {
    pub filter: Option<Filter>,
    pub waits: bool,
    pub die_with_parent: bool,
    pub keep_files: u32,
    pub through_init: bool,
    pub allow_own_binary: bool,
    /// `startContainer` hooks.
    pub start_hooks: Vec<Step>,
}

/// From the container's surroundings to the process's own attributes, up to its start. Without
/// no_new_privs the filter goes in before capabilities are given up, since it needs one of them.
pub fn process_steps(
    process: &mut Process,
    tail: Tail,
    builder: &mut Builder,
) -> Result<Program, Failure> {
    // `/` it is after the change of roots.
    if place(&process.cwd)?.path.as_bytes() != b"" || process.cwd.is_empty() {
        builder.push(Step::WorkingDirectory {
            place: place(&process.cwd)?,
            path: c_string(process.cwd.as_bytes())?,
            create: false,
        });
    }
    builder.push(Step::FindProgram);
    builder.push(Step::CloseFrom(3 + tail.keep_files));
    let mut limited = Vec::new();
    for (number, limit) in process.rlimits.iter().enumerate() {
        let field = format!("process.rlimits[{number}].type");
        let (name, resource) =
            options::limit(&limit.kind).ok_or_else(|| bad(&field, &limit.kind))?;
        if limited.contains(&resource) {
            return Err(Failure::new(format!("named twice: {:?}", limit.kind)).about(field));
        }
        limited.push(resource);
        let (soft, hard) = (limit.soft, limit.hard);
        builder.push(Step::Limit { resource, soft, hard, name });
    }
    if let Some(scheduler) = &process.scheduler {
        builder.push(Step::Scheduling(scheduling(scheduler)?));
    }
    if let Some(priority) = &process.io_priority {
        builder.push(Step::IoPriority(options::io_priority(&priority.class, priority.priority)?));
    }
    builder.push(Step::Umask(process.user.umask.unwrap_or(0o022)));
    if let Some(affinity) = &process.exec_cpu_affinity
        && !affinity.last.is_empty()
    {
        let set = options::processors(&affinity.last)
            .ok_or_else(|| bad("process.execCPUAffinity.final", &affinity.last))?;
        builder.push(Step::Affinity(set));
    }
    if tail.waits {
        builder.push(Step::AwaitStart);
    }
    builder.steps.extend(tail.start_hooks);
    let sets = capability_sets(process.capabilities.as_ref())?;
    builder.push(Step::BoundingSet(sets.bounding));
    builder.push(Step::Groups(std::mem::take(&mut process.user.additional_gids)));
    builder.push(Step::Ids { uid: process.user.uid, gid: process.user.gid });
    let filter = tail.filter.map(|(program, flags)| Step::Filter { program, flags });
    if process.no_new_privileges {
        builder.push(Step::Capabilities(sets));
        builder.push(Step::NoNewPrivileges);
        builder.steps.extend(filter);
    } else {
        builder.steps.extend(filter);
        builder.push(Step::Capabilities(sets));
    }
    if tail.die_with_parent {
        builder.push(Step::DieWithParent);
    }
    program(process, tail.through_init, tail.allow_own_binary)
}

fn scheduling(scheduler: &crate::oci::spec::Scheduler) -> Result<Scheduling, Failure> {
    Ok(Scheduling {
        policy: options::scheduling_policy(&scheduler.policy)
            .ok_or_else(|| bad("process.scheduler.policy", &scheduler.policy))?,
        nice: scheduler.nice,
        priority: scheduler.priority,
        runtime: scheduler.runtime,
        deadline: scheduler.deadline,
        period: scheduler.period,
        ..Scheduling::default()
    })
}

/// Hooks that the process itself runs.
pub fn hook_steps(kind: &str, hooks: &[Hook], state: Slot) -> Result<Vec<Step>, Failure> {
    let step = |(number, hook): (usize, &Hook)| {
        let args = if hook.args.is_empty() { vec![hook.path.clone()] } else { hook.args.clone() };
        let timeout_ms =
            hook.timeout.map(|s| i32::try_from(s.saturating_mul(1000)).unwrap_or(i32::MAX));
        Ok(Step::Hook(HookStep {
            name: format!("{kind}[{number}] {}", hook.path),
            path: c_string(hook.path.as_str())?,
            args: StringArray::new(strings(&args)?),
            env: StringArray::new(strings(&hook.env)?),
            timeout_ms,
            state,
        }))
    };
    hooks.iter().enumerate().map(step).collect()
}

fn strings(list: &[String]) -> Result<Vec<std::ffi::CString>, Failure> {
    list.iter().map(|text| c_string(text.as_bytes())).collect()
}

/// The search path where the environment has none.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn program(
    process: &Process,
    through_init: bool,
    allow_own_binary: bool,
) -> Result<Program, Failure> {
    let name = process.args.first().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Failure::new("names no program").about("process.args"))?.clone();
    let path = process.env.iter().rev().find_map(|entry| entry.strip_prefix("PATH="));
    let candidates = if name.contains('/') {
        vec![c_string(name.as_bytes())?]
    } else {
        let folders = path.unwrap_or(DEFAULT_PATH).split(':');
        let folder = |folder: &str| if folder.is_empty() { "." } else { folder }.to_owned();
        folders
            .map(|path| c_string(format!("{}/{name}", folder(path))))
            .collect::<Result<_, _>>()?
    };
    let mut args = strings(&process.args)?;
    if through_init {
        // `box container init -- PROGRAM ARG...`
        let front = ["box", "container", "init", "--"].map(c_string);
        let front = front.into_iter().collect::<Result<Vec<_>, _>>()?;
        args.splice(0..0, front);
    }
    let own = at::status_followed(c"/proc/self/exe").ok().map(|file| (file.dev, file.ino));
    Ok(Program {
        name,
        candidates,
        args: StringArray::new(args),
        env: StringArray::new(strings(&process.env)?),
        forbidden: own.filter(|_| !allow_own_binary),
        through_init,
    })
}

/// Sets by name. What the caller itself may not do cannot be given.
fn capability_sets(names: Option<&CapabilityNames>) -> Result<CapabilitySets, Failure> {
    let Some(names) = names else { return Ok(CapabilitySets::default()) };
    let ours = permitted_capabilities().map_err(Failure::from)?;
    let set = |field: &str, names: &[String]| -> Result<Capabilities, Failure> {
        let mut set = 0;
        for (number, name) in names.iter().enumerate() {
            let bit = capability_number(name)
                .ok_or_else(|| bad(&format!("process.capabilities.{field}[{number}]"), name))?;
            set |= 1 << bit;
        }
        Ok(set & ours)
    };
    Ok(CapabilitySets {
        bounding: set("bounding", &names.bounding)?,
        effective: set("effective", &names.effective)?,
        inheritable: set("inheritable", &names.inheritable)?,
        permitted: set("permitted", &names.permitted)?,
        ambient: set("ambient", &names.ambient)?,
    })
}
