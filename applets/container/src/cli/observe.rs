//! The command line of what containers do and have.

use clap::Args;

/// `events`.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Only these: container=, image=, event=, type=, label=
    #[arg(short, long, value_name = "FILTER")]
    pub filter: Vec<String>,
    /// json, or a template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// From this time on
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Up to this time, and no further
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// `info`.
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// json, or a template
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// `stats`.
#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// All containers, not only running ones
    #[arg(short, long)]
    pub all: bool,
    /// Print once, and end
    #[arg(long)]
    pub no_stream: bool,
    /// Print whole ids
    #[arg(long)]
    pub no_trunc: bool,
    /// json, or a template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Containers
    #[arg(value_name = "CONTAINER")]
    pub names: Vec<String>,
}

/// `top`.
#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Container
    #[arg(value_name = "CONTAINER")]
    pub name: String,
    /// Columns of ps(1): taken for compatibility
    #[arg(value_name = "OPTION", trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub options: Vec<String>,
}

/// `diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Container
    #[arg(value_name = "CONTAINER")]
    pub name: String,
}

/// `cp`.
#[derive(Debug, Args)]
pub(crate) struct CpArgs {
    /// Keep user and group
    #[arg(short, long)]
    pub archive: bool,
    /// Follow a link in the source
    #[arg(short = 'L', long)]
    pub follow_link: bool,
    /// Print nothing
    #[arg(short, long)]
    pub quiet: bool,
    /// CONTAINER:PATH, PATH, or - for a tar archive
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// CONTAINER:PATH, PATH, or - for a tar archive
    #[arg(value_name = "TARGET")]
    pub target: String,
}

/// `commit`.
#[derive(Debug, Args)]
pub(crate) struct CommitArgs {
    /// Who has made it
    #[arg(short, long, value_name = "TEXT")]
    pub author: Option<String>,
    /// Apply an instruction: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub change: Vec<String>,
    /// What has changed
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Stop the container meanwhile
    #[arg(short, long, value_name = "BOOL", default_value = "true", num_args = 0..=1,
        default_missing_value = "true", require_equals = true)]
    pub pause: bool,
    /// Container
    #[arg(value_name = "CONTAINER")]
    pub name: String,
    /// Name of the image
    #[arg(value_name = "IMAGE")]
    pub image: Option<String>,
}

/// `update`.
#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// Limit of memory
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Limit of memory and swap together
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
    /// Limit of processors
    #[arg(long, value_name = "N")]
    pub cpus: Option<String>,
    /// Weight among others
    #[arg(short = 'c', long, value_name = "N")]
    pub cpu_shares: Option<u64>,
    /// Processors
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Limit of processes
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// no, always, unless-stopped, on-failure[:N]
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// Containers
    #[arg(value_name = "CONTAINER", required = true)]
    pub names: Vec<String>,
}

/// `volume ...`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum VolumeVerb {
    /// Make a volume
    Create(VolumeCreateArgs),
    /// List volumes
    #[command(alias = "list")]
    Ls(VolumeLsArgs),
    /// Remove volumes
    #[command(alias = "remove")]
    Rm(VolumeRmArgs),
    /// Print all about volumes, as JSON
    Inspect(super::InspectArgs),
    /// Remove volumes that no container uses
    Prune(super::images::PruneArgs),
}

/// `volume create`.
#[derive(Debug, Args)]
pub(crate) struct VolumeCreateArgs {
    /// Label
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub label: Vec<String>,
    /// Taken for compatibility: local
    #[arg(short, long, value_name = "NAME", default_value = "local", hide = true)]
    pub driver: String,
    /// Name
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// `volume ls`.
#[derive(Debug, Args)]
pub(crate) struct VolumeLsArgs {
    /// Print names only
    #[arg(short, long)]
    pub quiet: bool,
    /// json, or a template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// name=, label=, dangling=true
    #[arg(short, long, value_name = "FILTER")]
    pub filter: Vec<String>,
}

/// `volume rm`.
#[derive(Debug, Args)]
pub(crate) struct VolumeRmArgs {
    /// One that is not there is no failure
    #[arg(short, long)]
    pub force: bool,
    /// Volumes
    #[arg(value_name = "VOLUME", required = true)]
    pub names: Vec<String>,
}
