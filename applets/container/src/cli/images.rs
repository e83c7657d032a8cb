//! The command line of images, registries and the store.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ImagesArgs, ImportArgs, InspectArgs, LoadArgs, RmiArgs, TagArgs};

/// `image ...`: the same commands by docker's other names.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageVerb {
    /// List images
    #[command(alias = "list")]
    Ls(ImagesArgs),
    /// Remove images
    #[command(alias = "remove")]
    Rm(RmiArgs),
    /// Get an image from a registry
    Pull(PullArgs),
    /// Send an image to a registry
    Push(PushArgs),
    /// Give an image a further name
    Tag(TagArgs),
    /// Load images from an OCI layout or a docker-archive
    Load(LoadArgs),
    /// Write images to an archive
    Save(SaveArgs),
    /// Make an image from the tarball of a root file system
    Import(ImportArgs),
    /// Print how an image was made
    History(HistoryArgs),
    /// Print all about images, as JSON
    Inspect(InspectArgs),
    /// Remove images without a name, or all that no container uses
    Prune(PruneArgs),
}

/// `system ...`.
#[derive(Debug, Subcommand)]
pub(crate) enum SystemVerb {
    /// Print what takes space
    Df(DfArgs),
    /// Remove what is not used
    Prune(SystemPruneArgs),
    /// Verify everything in the store
    Check(CheckArgs),
    /// Print what happens, as it happens
    Events(super::observe::EventsArgs),
    /// Print what is here
    Info(super::observe::InfoArgs),
}

/// How a registry is believed.
#[derive(Clone, Debug, Args)]
pub(crate) struct TrustArgs {
    /// Believe any certificate, or none, with `false`
    #[arg(long, value_name = "BOOL", default_value = "true", num_args = 0..=1,
        default_missing_value = "true", require_equals = true)]
    pub tls_verify: bool,
    /// Folder with the registry's own authorities (*.crt)
    #[arg(long, value_name = "DIR")]
    pub cert_dir: Option<PathBuf>,
}

/// `pull`.
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Another platform than this machine's
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    /// Print the name alone
    #[arg(short, long)]
    pub quiet: bool,
    /// The largest that a layer may unpack to
    #[arg(long, value_name = "SIZE")]
    pub max_layer_size: Option<String>,
    /// Image
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    pub image: String,
}

/// `push`.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Print nothing but failures
    #[arg(short, long)]
    pub quiet: bool,
    /// Image
    #[arg(value_name = "NAME[:TAG]")]
    pub image: String,
    /// Another name at the registry
    #[arg(value_name = "DESTINATION")]
    pub destination: Option<String>,
}

/// `login`.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    #[command(flatten)]
    pub trust: TrustArgs,
    /// User
    #[arg(short, long, value_name = "NAME")]
    pub username: Option<String>,
    /// Password
    #[arg(short, long, value_name = "PASSWORD")]
    pub password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    pub password_stdin: bool,
    /// Registry
    #[arg(value_name = "REGISTRY", default_value = "docker.io")]
    pub registry: String,
}

/// `logout`.
#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// Registry
    #[arg(value_name = "REGISTRY", default_value = "docker.io")]
    pub registry: String,
}

/// `save`.
#[derive(Debug, Args)]
pub(crate) struct SaveArgs {
    /// File, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Images
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// `history`.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Print whole texts
    #[arg(long)]
    pub no_trunc: bool,
    /// Print ids only
    #[arg(short, long)]
    pub quiet: bool,
    /// json, or a template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Image
    #[arg(value_name = "IMAGE")]
    pub image: String,
}

/// `image prune`, and what others share with it.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// All that no container uses
    #[arg(short, long)]
    pub all: bool,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
    /// until=TIME or label=NAME[=VALUE]
    #[arg(long, value_name = "FILTER")]
    pub filter: Vec<String>,
}

/// `system prune`.
#[derive(Debug, Args)]
pub(crate) struct SystemPruneArgs {
    #[command(flatten)]
    pub prune: PruneArgs,
    /// Volumes, too
    #[arg(long)]
    pub volumes: bool,
}

/// `system df`.
#[derive(Debug, Args)]
pub(crate) struct DfArgs {
    /// json, or a template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// `system check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Remove what is damaged, with the images that need it
    #[arg(long)]
    pub repair: bool,
}
