//! The engine: containers with names, images and networks, without a daemon.
//!
//! `run` writes the container's folder, forks a monitor ([`crate::monitor`]), and talks to it over a
//! socket like any later `attach`. Every other command reads the folder and acts on the container's
//! processes through handles.

pub mod attach;
pub mod changes;
pub mod container;
pub mod create;
pub mod events;
pub mod exec;
pub mod export;
pub mod images;
pub mod inspect;
pub mod list;
pub mod logs;
pub mod names;
pub mod registry;
pub mod rootfs;
pub mod run;
pub mod runtime_spec;
pub mod stats;
pub mod system;
pub mod template;
pub mod users;
pub mod values;
pub mod verbs;
pub mod volumes;

use box_kit::{Failure, Outcome};

use crate::cli::images::ImageVerb;
use crate::cli::{Cli, Verb};
use crate::store::Store;

/// What every command works on.
pub struct Engine {
    pub store: Store,
    /// The names that the built-in image links to the binary.
    pub links: Vec<&'static str>,
}

/// Runs a command.
pub fn run(cli: Cli, links: &[&'static str]) -> Outcome {
    let root = cli.root.unwrap_or_else(|| "/var/lib/box/container".into());
    let open = || -> Result<Engine, Failure> {
        if !box_sys::process::is_root() {
            return Err(Failure::new("needs root: rootless containers are not there yet")
                .advise("try: sudo box container ..."));
        }
        Ok(Engine { store: Store::open(&root)?, links: links.to_vec() })
    };
    match cli.verb {
        Verb::Oci(cli) => crate::oci::run_cli(*cli),
        Verb::Init(args) => crate::init::run(&args.command),
        Verb::Run(args) => open().and_then(|engine| run::run(&engine, &args)).map_err(as_engine),
        Verb::Create(args) => {
            open().and_then(|engine| run::create(&engine, &args)).map_err(as_engine)
        }
        Verb::Exec(args) => open().and_then(|engine| exec::exec(&engine, &args)),
        Verb::Start(args) => verbs::start(&open()?, &args),
        Verb::Stop(args) => verbs::stop(&open()?, &args),
        Verb::Restart(args) => verbs::restart(&open()?, &args),
        Verb::Kill(args) => verbs::kill(&open()?, &args),
        Verb::Rm(args) => verbs::remove(&open()?, &args),
        Verb::Wait(args) => verbs::wait(&open()?, &args),
        Verb::Pause(args) => verbs::freeze(&open()?, &args, true),
        Verb::Unpause(args) => verbs::freeze(&open()?, &args, false),
        Verb::Rename(args) => verbs::rename(&open()?, &args),
        Verb::Port(args) => verbs::port(&open()?, &args),
        Verb::Attach(args) => verbs::attach(&open()?, &args),
        Verb::Ps(args) => list::ps(&open()?, &args),
        Verb::Logs(args) => logs::logs(&open()?, &args),
        Verb::Inspect(args) => inspect::inspect(&open()?, &args),
        Verb::Export(args) => export::export(&open()?, &args),
        Verb::Images(args) => images::list(&open()?, &args),
        Verb::Load(args) => images::load(&open()?, &args),
        Verb::Import(args) => images::import(&open()?, &args),
        Verb::Tag(args) => images::tag(&open()?, &args),
        Verb::Rmi(args) => images::remove(&open()?, &args),
        Verb::Stats(args) => stats::stats(&open()?, &args),
        Verb::Top(args) => stats::top(&open()?, &args),
        Verb::Diff(args) => changes::diff(&open()?, &args),
        Verb::Cp(args) => changes::cp(&open()?, &args),
        Verb::Commit(args) => changes::commit(&open()?, &args),
        Verb::Update(args) => stats::update(&open()?, &args),
        Verb::Events(args) => events::events(&open()?, &args),
        Verb::Info(args) => system::info(&open()?, &args),
        Verb::Volume(verb) => volumes::run(&open()?, &verb),
        Verb::Prune(args) => system::prune(&open()?, &args),
        Verb::Pull(args) => registry::pull(&open()?, &args),
        Verb::Push(args) => registry::push(&open()?, &args),
        Verb::Login(args) => registry::login(&args),
        Verb::Logout(args) => registry::logout(&args),
        Verb::Save(args) => images::save(&open()?, &args),
        Verb::History(args) => images::history(&open()?, &args),
        Verb::Image(verb) => image(&open()?, &verb),
        Verb::System(verb) => system::run(&open()?, &verb),
    }
}

/// The commands of images by their other names.
fn image(engine: &Engine, verb: &ImageVerb) -> Outcome {
    match verb {
        ImageVerb::Ls(args) => images::list(engine, args),
        ImageVerb::Rm(args) => images::remove(engine, args),
        ImageVerb::Pull(args) => registry::pull(engine, args),
        ImageVerb::Push(args) => registry::push(engine, args),
        ImageVerb::Tag(args) => images::tag(engine, args),
        ImageVerb::Load(args) => images::load(engine, args),
        ImageVerb::Save(args) => images::save(engine, args),
        ImageVerb::Import(args) => images::import(engine, args),
        ImageVerb::History(args) => images::history(engine, args),
        ImageVerb::Inspect(args) => inspect::inspect(engine, args),
        ImageVerb::Prune(args) => system::prune_images(engine, args),
    }
}

/// Docker ends with 125 when the engine itself has failed.
fn as_engine(failure: Failure) -> Failure {
    let code = failure.code();
    if code == box_kit::Exit::FAILED || code == box_kit::Exit::MISUSED {
        return failure.exit(box_kit::Exit(125));
    }
    failure
}

/// The layers under containers: they stay when their image goes.
pub fn layers_in_use(store: &Store) -> Vec<String> {
    let containers = container::all(store).unwrap_or_default();
    let layers = containers.into_iter().flat_map(|found| found.config.layers);
    layers.collect()
}
