//! The command line of `box container`: docker's words and flags.

pub(crate) mod images;
pub(crate) mod observe;

use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

/// Run containers from OCI images without a daemon.
///
/// Example: box container run --rm @box version
#[derive(Debug, Parser)]
#[command(name = "container")]
pub struct Cli {
    /// Folder of images and containers [default: /var/lib/box/container]
    #[arg(long, value_name = "DIR", env = "BOX_CONTAINER_ROOT")]
    pub(crate) root: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make a container and start it
    Run(Box<RunArgs>),
    /// Make a container
    Create(Box<RunArgs>),
    /// Start containers
    Start(StartArgs),
    /// Stop containers: a signal, and some seconds later KILL
    Stop(StopArgs),
    /// Stop and start containers
    Restart(StopArgs),
    /// Send a signal
    Kill(KillArgs),
    /// Remove containers
    Rm(RmArgs),
    /// List containers
    #[command(visible_alias = "ls")]
    Ps(PsArgs),
    /// Print a container's output
    Logs(LogsArgs),
    /// Run a further program in a container
    Exec(ExecArgs),
    /// Connect to a running container
    Attach(AttachArgs),
    /// Wait for the end of containers and print their exit codes
    Wait(NamesArgs),
    /// Print all about containers and images, as JSON
    Inspect(InspectArgs),
    /// Stop all processes of containers
    Pause(NamesArgs),
    /// Let them go on
    Unpause(NamesArgs),
    /// Give a container another name
    Rename(RenameArgs),
    /// Print published ports
    Port(PortArgs),
    /// Write a container's files as a tar archive
    Export(ExportArgs),
    /// Print what containers use
    Stats(observe::StatsArgs),
    /// List a container's processes
    Top(observe::TopArgs),
    /// Print what a container has changed of its image's files
    Diff(observe::DiffArgs),
    /// Copy files into a container or out of it
    Cp(observe::CpArgs),
    /// Make an image of what a container has changed
    Commit(observe::CommitArgs),
    /// Change limits and policy of containers
    Update(observe::UpdateArgs),
    /// Print what happens, as it happens
    Events(observe::EventsArgs),
    /// Print what is here
    Info(observe::InfoArgs),
    /// Volumes
    #[command(subcommand)]
    Volume(observe::VolumeVerb),
    /// Remove containers that do not run
    Prune(images::PruneArgs),
    /// List images
    Images(ImagesArgs),
    /// Load images from an OCI layout or a docker-archive
    Load(LoadArgs),
    /// Make an image from the tarball of a root file system
    Import(ImportArgs),
    /// Give an image a further name
    Tag(TagArgs),
    /// Remove images
    Rmi(RmiArgs),
    /// Get an image from a registry
    Pull(images::PullArgs),
    /// Send an image to a registry
    Push(images::PushArgs),
    /// Prove who you are to a registry, and keep the proof
    Login(images::LoginArgs),
    /// Forget it
    Logout(images::LogoutArgs),
    /// Write images to an archive
    Save(images::SaveArgs),
    /// Print how an image was made
    History(images::HistoryArgs),
    /// The commands of images
    #[command(subcommand)]
    Image(images::ImageVerb),
    /// The store as a whole
    #[command(subcommand)]
    System(images::SystemVerb),
    /// The OCI runtime, for container managers
    Oci(Box<crate::oci::cli::Cli>),
    /// The first process of a container with --init
    #[command(hide = true)]
    Init(InitArgs),
}

/// `run` and `create`.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct RunArgs {
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    pub help: Option<bool>,
    /// Run in the background and print the id
    #[arg(short, long)]
    pub detach: bool,
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Remove the container when it has ended
    #[arg(long)]
    pub rm: bool,
    /// Name of the container
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Set a variable; without a value, the caller's
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Read variables from a file
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// Mount a folder or volume
    #[arg(short, long, value_name = "[SOURCE:]TARGET[:OPTIONS]")]
    pub volume: Vec<String>,
    /// Mount: type=bind|volume|tmpfs,source=,target=,readonly
    #[arg(long, value_name = "SPEC")]
    pub mount: Vec<String>,
    /// Mount an empty folder in memory
    #[arg(long, value_name = "TARGET[:OPTIONS]")]
    pub tmpfs: Vec<String>,
    /// Publish a port
    #[arg(short, long, value_name = "[ADDRESS:][HOST:]CONTAINER[/udp]")]
    pub publish: Vec<String>,
    /// Publish all ports that the image exposes
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// bridge, host, none, container:NAME or ns:PATH
    #[arg(long, visible_alias = "net", value_name = "NETWORK", default_value = "bridge")]
    pub network: String,
    /// Host name
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// NIS domain name
    #[arg(long, value_name = "NAME")]
    pub domainname: Option<String>,
    /// Working directory
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// User, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Further groups
    #[arg(long, value_name = "GROUP")]
    pub group_add: Vec<String>,
    /// Program in the place of the image's
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,
    /// no, always, unless-stopped or on-failure[:N]
    #[arg(long, value_name = "POLICY", default_value = "no")]
    pub restart: String,
    /// Limit of memory
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Limit of memory and swap together, -1 for none
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
    /// Soft limit of memory
    #[arg(long, value_name = "SIZE")]
    pub memory_reservation: Option<String>,
    /// Number of processors
    #[arg(long, value_name = "N")]
    pub cpus: Option<String>,
    /// Weight among other containers
    #[arg(short, long, value_name = "N")]
    pub cpu_shares: Option<u64>,
    /// Microseconds of a period
    #[arg(long, value_name = "N")]
    pub cpu_period: Option<u64>,
    /// Microseconds in a period
    #[arg(long, value_name = "N")]
    pub cpu_quota: Option<i64>,
    /// Which processors
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Limit of processes
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// Make the root read-only
    #[arg(long)]
    pub read_only: bool,
    /// Add a capability
    #[arg(long, value_name = "NAME")]
    pub cap_add: Vec<String>,
    /// Drop a capability
    #[arg(long, value_name = "NAME")]
    pub cap_drop: Vec<String>,
    /// All capabilities and devices, no filter
    #[arg(long)]
    pub privileged: bool,
    /// no-new-privileges, seccomp=FILE, seccomp=unconfined
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<String>,
    /// Run box as the first process: it reaps, and passes signals on
    #[arg(long)]
    pub init: bool,
    /// Set a resource limit
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub ulimit: Vec<String>,
    /// Size of /dev/shm
    #[arg(long, value_name = "SIZE", default_value = "64m")]
    pub shm_size: String,
    /// Set a label
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub label: Vec<String>,
    /// Add a line to /etc/hosts
    #[arg(long, value_name = "NAME:ADDRESS")]
    pub add_host: Vec<String>,
    /// Name servers
    #[arg(long, value_name = "ADDRESS")]
    pub dns: Vec<String>,
    /// Search domains
    #[arg(long, value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// Signal of `stop`
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Seconds that `stop` waits
    #[arg(long, value_name = "SECONDS")]
    pub stop_timeout: Option<u64>,
    /// Write the id to a file
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<PathBuf>,
    /// json-file or none
    #[arg(long, value_name = "DRIVER", default_value = "json-file")]
    pub log_driver: String,
    /// max-size=SIZE, max-file=N
    #[arg(long, value_name = "NAME=VALUE")]
    pub log_opt: Vec<String>,
    /// Give it a device
    #[arg(long, value_name = "DEVICE[:PATH[:rwm]]")]
    pub device: Vec<String>,
    /// Set a kernel parameter
    #[arg(long, value_name = "NAME=VALUE")]
    pub sysctl: Vec<String>,
    /// host for the machine's process ids
    #[arg(long, value_name = "MODE")]
    pub pid: Option<String>,
    /// host for the machine's IPC
    #[arg(long, value_name = "MODE")]
    pub ipc: Option<String>,
    /// host for the machine's names
    #[arg(long, value_name = "MODE")]
    pub uts: Option<String>,
    /// Adjust the choice of whom to kill for memory
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub oom_score_adj: Option<i32>,
    /// Keys that detach [default: ctrl-p,ctrl-q]
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// Pass signals on
    #[arg(long, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub sig_proxy: String,
    /// Get the image: always, missing or never
    #[arg(long, value_name = "WHEN", default_value = "missing")]
    pub pull: String,
    /// Of another platform than this machine's
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    /// Print nothing of a pull
    #[arg(short, long)]
    pub quiet: bool,
    #[command(flatten)]
    pub trust: images::TrustArgs,
    /// A folder in the place of an image; DIR:rw writes to it
    #[arg(long, value_name = "DIR[:rw]")]
    pub rootfs: Option<String>,
    /// Image, then program and arguments
    #[arg(value_name = "IMAGE [COMMAND...]", trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<std::ffi::OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct NamesArgs {
    /// Containers
    #[arg(value_name = "CONTAINER", required = true)]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Connect to its output
    #[arg(short, long)]
    pub attach: bool,
    /// Connect to its input, too
    #[arg(short, long)]
    pub interactive: bool,
    /// Containers
    #[arg(value_name = "CONTAINER", required = true)]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Seconds before KILL
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS")]
    pub time: Option<u64>,
    /// Signal to send first
    #[arg(short, long, value_name = "SIGNAL")]
    pub signal: Option<String>,
    /// Containers
    #[arg(value_name = "CONTAINER", required = true)]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct KillArgs {
    /// Name or number
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    pub signal: String,
    /// Containers
    #[arg(value_name = "CONTAINER", required = true)]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// Kill it when it runs
    #[arg(short, long)]
    pub force: bool,
    /// Remove its anonymous volumes, too
    #[arg(short, long)]
    pub volumes: bool,
    /// Containers
    #[arg(value_name = "CONTAINER", required = true)]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PsArgs {
    /// Those that do not run, too
    #[arg(short, long)]
    pub all: bool,
    /// Print ids only
    #[arg(short, long)]
    pub quiet: bool,
    /// Whole ids and commands
    #[arg(long)]
    pub no_trunc: bool,
    /// The newest one
    #[arg(short, long)]
    pub latest: bool,
    /// status=, name=, id=, label=, ancestor=, exited=, network=
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
    /// table, json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Go on with what comes
    #[arg(short, long)]
    pub follow: bool,
    /// Print times
    #[arg(short, long)]
    pub timestamps: bool,
    /// The last lines only
    #[arg(short = 'n', long, value_name = "N", default_value = "all")]
    pub tail: String,
    /// From this time on
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Up to this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Container
    #[arg(value_name = "CONTAINER")]
    pub name: String,
}

#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// Do not wait for its end
    #[arg(short, long)]
    pub detach: bool,
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Set a variable
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// User, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Working directory
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// All capabilities
    #[arg(long)]
    pub privileged: bool,
    /// Container
    #[arg(value_name = "CONTAINER")]
    pub name: String,
    /// Program and arguments
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// Do not connect standard input
    #[arg(long)]
    pub no_stdin: bool,
    /// Keys that detach [default: ctrl-p,ctrl-q]
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// Container
    #[arg(value_name = "CONTAINER")]
    pub name: String,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// container or image
    #[arg(long = "type", value_name = "KIND")]
    pub kind: Option<String>,
    /// Containers or images
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// Container
    #[arg(value_name = "CONTAINER")]
    pub name: String,
    /// Its new name
    #[arg(value_name = "NEW_NAME")]
    pub new_name: String,
}

#[derive(Debug, Args)]
pub(crate) struct PortArgs {
    /// Container
    #[arg(value_name = "CONTAINER")]
    pub name: String,
    /// Port of the container
    #[arg(value_name = "PORT[/PROTOCOL]")]
    pub port: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// File in the place of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Container
    #[arg(value_name = "CONTAINER")]
    pub name: String,
}

#[derive(Debug, Args)]
pub(crate) struct ImagesArgs {
    /// Print ids only
    #[arg(short, long)]
    pub quiet: bool,
    /// Whole ids
    #[arg(long)]
    pub no_trunc: bool,
    /// table, json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Only this repository
    #[arg(value_name = "REPOSITORY")]
    pub repository: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Archive or folder; standard input without it
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Print names only
    #[arg(short, long)]
    pub quiet: bool,
    /// What a layer may grow to
    #[arg(long, value_name = "SIZE")]
    pub max_layer_size: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub change: Vec<String>,
    /// A word on where it comes from
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    pub message: String,
    /// What it may grow to
    #[arg(long, value_name = "SIZE")]
    pub max_layer_size: Option<String>,
    /// Archive, `-` for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Name of the image
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TagArgs {
    /// Image
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Its further name
    #[arg(value_name = "NAME")]
    pub name: String,
}

#[derive(Debug, Args)]
pub(crate) struct RmiArgs {
    /// Even when containers use it
    #[arg(short, long)]
    pub force: bool,
    /// Images
    #[arg(value_name = "IMAGE", required = true)]
    pub names: Vec<String>,
}

/// The clap tree.
pub fn command() -> clap::Command {
    Cli::command()
}
