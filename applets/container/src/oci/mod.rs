//! `box container oci`: the runtime command line that container managers call (runc's), over the
//! same launch code that the engine uses.

mod bundle;
pub mod cli;
mod events;
mod hooks;
pub mod options;
mod rootless;
pub mod seccomp;
pub mod spec;
mod state;
mod verbs;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use box_kit::{Exit, Failure, Invocation, Outcome, cli::Parsed};
use clap::CommandFactory;

pub use bundle::{default_device_rules, default_mounts, default_spec};
use cli::{Cli, Global, Verb};
pub use verbs::enter;

/// Runs the command line of `invocation`, whose name may be an imitated one.
pub fn run(invocation: &Invocation) -> Outcome {
    let command = Cli::command();
    match box_kit::cli::parse::<Cli>(command, invocation) {
        Ok(Parsed::Shown(exit)) => Ok(exit),
        Ok(Parsed::Run(cli)) => run_cli(cli),
        // The incumbents end with 1 for any misuse.
        Err(failure) => Err(failure.exit(Exit::FAILED)),
    }
}

/// Runs a parsed command line; what fails goes to the log, too, where its callers look for it.
pub fn run_cli(cli: Cli) -> Outcome {
    let Cli { global, verb, version } = cli;
    if version {
        let commit = option_env!("BOX_COMMIT").unwrap_or("unknown");
        let (version, spec) = (env!("CARGO_PKG_VERSION"), spec::VERSION);
        println!("box version {version}\ncommit: {commit}\nspec: {spec}");
        return Ok(Exit::DONE);
    }
    let Some(verb) = verb else {
        return Err(Failure::misuse("a command is missing").advise("try: box container oci --help"));
    };
    let root = root_folder(&global)?;
    let outcome = match verb {
        Verb::Spec(args) => bundle::write_spec(&args),
        Verb::Create(args) => verbs::create(&root, &args),
        Verb::Run(args) => verbs::run(&root, &args),
        Verb::Start(args) => verbs::start(&root, &args.id),
        Verb::State(args) => verbs::state(&root, &args.id),
        Verb::Kill(args) => verbs::kill(&root, &args),
        Verb::Delete(args) => verbs::delete(&root, &args),
        Verb::Exec(args) => verbs::exec(&root, &args),
        Verb::List(args) => verbs::list(&root, &args),
        Verb::Ps(args) => verbs::ps(&root, &args),
        Verb::Pause(args) => verbs::freeze(&root, &args.id, true),
        Verb::Resume(args) => verbs::freeze(&root, &args.id, false),
        Verb::Update(args) => verbs::update(&root, &args),
        Verb::Events(args) => events::events(&root, &args),
        Verb::Features => verbs::features(),
        Verb::Checkpoint(_) | Verb::Restore(_) => {
            Err(Failure::new("checkpoint and restore are not supported"))
        }
    };
    if let Err(failure) = &outcome {
        log(&global, failure);
    }
    outcome.map_err(|failure| {
        // Callers read the reason from the text; the code is 1 for every failure of the runtime.
        failure.exit(Exit::FAILED)
    })
}

fn root_folder(global: &Global) -> Result<PathBuf, Failure> {
    match &global.root {
        Some(root) => Ok(root.clone()),
        None => Ok(box_kit::folders::runtime("oci")?),
    }
}

/// Appends the failure to the log file: docker and containerd show its `msg` to the person.
fn log(global: &Global, failure: &Failure) {
    let Some(path) = &global.log else { return };
    let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path) else { return };
    let time = crate::time::rfc3339(crate::time::now());
    let line = if global.log_format.as_deref() == Some("json") {
        let entry = serde_json::json!({"level": "error", "msg": failure.to_string(), "time": time});
        entry.to_string()
    } else {
        format!("time=\"{time}\" level=error msg={:?}", failure.to_string())
    };
    // A log that cannot be written does not change what happened.
    let _ = writeln!(file, "{line}");
}
