//! The runtime's command line, with the words of runc and crun.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Run containers from OCI bundles, for container managers.
///
/// Example: box container oci run --bundle DIR web
#[derive(Debug, Parser)]
#[command(name = "oci", disable_version_flag = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    /// Print the version
    #[arg(short, long)]
    pub version: bool,
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// What stands before the command.
#[derive(Debug, Args)]
pub struct Global {
    /// Folder of the containers' state
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// File to which failures are appended
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// text or json
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Taken for compatibility
    #[arg(long, value_name = "LEVEL", hide = true)]
    pub log_level: Option<String>,
    /// Taken for compatibility
    #[arg(long, hide = true)]
    pub debug: bool,
    /// Taken for compatibility; groups are made as files in any case
    #[arg(long, hide = true)]
    pub systemd_cgroup: bool,
    /// Taken for compatibility
    #[arg(long, value_name = "NAME", hide = true)]
    pub cgroup_manager: Option<String>,
    /// Taken for compatibility
    #[arg(long, value_name = "WHEN", hide = true)]
    pub rootless: Option<String>,
    /// Taken for compatibility
    #[arg(long, value_name = "PATH", hide = true)]
    pub criu: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Write a config.json to start from
    Spec(SpecArgs),
    /// Make a container that waits for `start`
    Create(CreateArgs),
    /// Make and start a container, and wait for its end
    Run(CreateArgs),
    /// Start a created container
    Start(IdArgs),
    /// Print a container's state
    State(IdArgs),
    /// Send a signal
    Kill(KillArgs),
    /// Remove a container
    Delete(DeleteArgs),
    /// Run a further process in a container
    Exec(ExecArgs),
    /// List containers
    List(ListArgs),
    /// List a container's processes
    Ps(PsArgs),
    /// Stop all processes of a container
    Pause(IdArgs),
    /// Let them go on
    Resume(IdArgs),
    /// Change limits
    Update(UpdateArgs),
    /// Print what a container uses, and when the kernel kills for want of memory, as JSON
    Events(EventsArgs),
    /// Print what is supported, as JSON
    Features,
    /// Not supported
    #[command(hide = true)]
    Checkpoint(RestArgs),
    /// Not supported
    #[command(hide = true)]
    Restore(RestArgs),
}

/// A container.
#[derive(Debug, Args)]
pub struct IdArgs {
    /// Container
    #[arg(value_name = "ID")]
    pub id: String,
}

/// `events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Print the use once, and end
    #[arg(long)]
    pub stats: bool,
    /// Seconds between two prints (5s)
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub interval: String,
    /// Container
    #[arg(value_name = "ID")]
    pub id: String,
}

/// Words that are not looked at.
#[derive(Debug, Args)]
pub struct RestArgs {
    #[arg(value_name = "WORD", trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

/// `spec`.
#[derive(Debug, Args)]
pub struct SpecArgs {
    /// Folder of the bundle
    #[arg(short, long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// For a user without privileges
    #[arg(long)]
    pub rootless: bool,
}

/// `create` and `run`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Folder of the bundle
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub bundle: PathBuf,
    /// The configuration, when it is not the bundle's config.json
    #[arg(short = 'f', long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// File for the process id
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Socket that gets the terminal
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// Hand on descriptors from 3 on
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
    /// Socket that gets a handle of the process
    #[arg(long, value_name = "SOCKET")]
    pub pidfd_socket: Option<PathBuf>,
    /// Move the root instead of pivoting
    #[arg(long)]
    pub no_pivot: bool,
    /// Keep the caller's session keyring
    #[arg(long)]
    pub no_new_keyring: bool,
    /// Taken for compatibility
    #[arg(long, hide = true)]
    pub no_subreaper: bool,
    /// Do not wait for its end
    #[arg(short, long)]
    pub detach: bool,
    /// Leave the container when it has ended
    #[arg(long)]
    pub keep: bool,
    /// Container
    #[arg(value_name = "ID")]
    pub id: String,
}

/// `kill`.
#[derive(Debug, Args)]
pub struct KillArgs {
    /// To every process of the container
    #[arg(short, long)]
    pub all: bool,
    /// Container
    #[arg(value_name = "ID")]
    pub id: String,
    /// Name or number
    #[arg(value_name = "SIGNAL", default_value = "TERM")]
    pub signal: String,
}

/// `delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Kill it when it runs
    #[arg(short, long)]
    pub force: bool,
    /// Container
    #[arg(value_name = "ID")]
    pub id: String,
}

/// `exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Give it a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// User, or user:group, by number
    #[arg(short, long, value_name = "UID[:GID]")]
    pub user: Option<String>,
    /// Set a variable
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Working directory
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<String>,
    /// Add a capability
    #[arg(short, long, value_name = "NAME")]
    pub cap: Vec<String>,
    /// The process as JSON
    #[arg(short, long, value_name = "FILE")]
    pub process: Option<PathBuf>,
    /// A group below the container's
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<String>,
    /// Taken for compatibility
    #[arg(long, value_name = "LABEL", hide = true)]
    pub process_label: Option<String>,
    /// Taken for compatibility
    #[arg(long, value_name = "PROFILE", hide = true)]
    pub apparmor: Option<String>,
    /// Set no_new_privs
    #[arg(long)]
    pub no_new_privs: bool,
    /// Do not wait for its end
    #[arg(short, long)]
    pub detach: bool,
    /// File for the process id
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Socket that gets the terminal
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// Hand on descriptors from 3 on
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
    /// Allow it in a paused container
    #[arg(long)]
    pub ignore_paused: bool,
    /// Container
    #[arg(value_name = "ID")]
    pub id: String,
    /// Program and arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub format: String,
    /// Print ids only
    #[arg(short, long)]
    pub quiet: bool,
}

/// `ps`.
#[derive(Debug, Args)]
pub struct PsArgs {
    /// table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub format: String,
    /// Container
    #[arg(value_name = "ID")]
    pub id: String,
    /// Taken for compatibility
    #[arg(value_name = "OPTION", trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub options: Vec<String>,
}

/// `update`.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// Limits as JSON, `-` for standard input
    #[arg(short, long, value_name = "FILE")]
    pub resources: Option<PathBuf>,
    /// Bytes of memory
    #[arg(long, allow_hyphen_values = true, value_name = "BYTES")]
    pub memory: Option<i64>,
    /// Bytes of memory and swap together
    #[arg(long, allow_hyphen_values = true, value_name = "BYTES")]
    pub memory_swap: Option<i64>,
    /// Bytes below which memory is not taken away
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory_reservation: Option<i64>,
    /// Weight for block devices
    #[arg(long, value_name = "N")]
    pub blkio_weight: Option<u16>,
    /// Microseconds of a period for real-time tasks
    #[arg(long, value_name = "N")]
    pub cpu_rt_period: Option<u64>,
    /// Microseconds in it
    #[arg(long, value_name = "N")]
    pub cpu_rt_runtime: Option<i64>,
    /// Microseconds that may be saved up
    #[arg(long, value_name = "N")]
    pub cpu_burst: Option<u64>,
    /// Run when nobody else does
    #[arg(long, value_name = "0|1")]
    pub cpu_idle: Option<i64>,
    /// Memory nodes
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Number of processes
    #[arg(long, allow_hyphen_values = true, value_name = "N")]
    pub pids_limit: Option<i64>,
    /// Weight among other groups
    #[arg(long, alias = "cpu-shares", value_name = "N")]
    pub cpu_share: Option<u64>,
    /// Microseconds in a period
    #[arg(long, allow_hyphen_values = true, value_name = "N")]
    pub cpu_quota: Option<i64>,
    /// Microseconds of a period
    #[arg(long, value_name = "N")]
    pub cpu_period: Option<u64>,
    /// Processors
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Container
    #[arg(value_name = "ID")]
    pub id: String,
}
