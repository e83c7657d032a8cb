//! `export`: a container's files as a tar archive, read through its own mount of them.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use box_kit::{Exit, Failure, Outcome};
use box_sys::at::{self, Resolve};

use super::{Engine, container, rootfs, runtime_spec};
use crate::cli::ExportArgs;
use crate::layer::pack;

/// Writes the archive.
pub fn export(engine: &Engine, args: &ExportArgs) -> Outcome {
    let container = container::find(&engine.store, &args.name)?;
    let root = if container.is_running() {
        runtime_spec::root_of(container.state.init.pid)?
    } else {
        rootfs::mount(engine, &container)?
    };
    let output: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(File::create(path).map_err(Failure::os(path.display()))?),
        None => Box::new(io::stdout()),
    };
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    let root = at::open(root.as_fd(), c".", flags, 0, Resolve::IN_ROOT)?;
    let output = io::BufWriter::with_capacity(128 * 1024, output);
    pack::contents(root.as_fd(), "", &pack::Form::default(), output)
        .map_err(Failure::os("export"))?;
    Ok(Exit::DONE)
}
