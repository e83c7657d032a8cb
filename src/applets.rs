//! The applet table: one row a command. Read this first.
//!
//! A row's crate stands in `applets/`, its tests in `tests/`, its page in `docs/`. This is the only
//! place that knows all applets; what one offers another (tables for `sql`) is tied together here.

use box_kit::Applet;
use box_sys::heap::Heap;
use box_sys::signal::SigPipe;

/// Every command of this build.
pub static APPLETS: &[Applet] = &[
    #[cfg(feature = "proxy")]
    Applet {
        name: "proxy",
        about: "Give a local port an address: tunnels and a reverse proxy",
        aliases: &[],
        imitates: &[],
        command: box_proxy::cli::command,
        run: box_proxy::run,
        needs: box_proxy::doctor::needs,
        sigpipe: SigPipe::Ignore,
        heap: Heap::Mimalloc,
    },
    #[cfg(feature = "cache")]
    Applet {
        name: "cache-server",
        about: "Serve an in-memory data store to Redis and Valkey clients",
        aliases: &["cache"],
        imitates: &["redis-server", "valkey-server"],
        command: box_cache::cli::server_command,
        run: box_cache::server,
        needs: box_cache::doctor::needs,
        sigpipe: SigPipe::Ignore,
        heap: Heap::Mimalloc,
    },
    #[cfg(feature = "cache")]
    Applet {
        name: "cache-cli",
        about: "Talk to a cache server, one command or a session",
        aliases: &[],
        imitates: &["redis-cli", "valkey-cli"],
        command: box_cache::client::cli::command,
        run: box_cache::client,
        needs: Vec::new,
        sigpipe: SigPipe::Die,
        heap: Heap::System,
    },
    #[cfg(feature = "cache")]
    Applet {
        name: "cache-benchmark",
        about: "Measure a cache server",
        aliases: &[],
        imitates: &["redis-benchmark", "valkey-benchmark"],
        command: box_cache::benchmark::cli::command,
        run: box_cache::benchmark,
        needs: Vec::new,
        sigpipe: SigPipe::Ignore,
        heap: Heap::Mimalloc,
    },
    #[cfg(feature = "cache")]
    Applet {
        name: "cache-check",
        about: "Check the files of a cache server, and repair append-only files",
        aliases: &[],
        imitates: &["redis-check-rdb", "redis-check-aof", "valkey-check-rdb", "valkey-check-aof"],
        command: box_cache::check::cli::command,
        run: box_cache::check,
        needs: Vec::new,
        sigpipe: SigPipe::Die,
        heap: Heap::System,
    },
    #[cfg(feature = "sql")]
    Applet {
        name: "sql",
        about: "Query and change SQLite database files",
        aliases: &[],
        imitates: &["sqlite3"],
        command: box_sql::cli::command,
        run: |invocation| box_sql::run(invocation, TABLES),
        needs: box_sql::doctor::needs,
        sigpipe: SigPipe::Die,
        heap: Heap::System,
    },
    #[cfg(feature = "sniff")]
    Applet {
        name: "sniff",
        about: "Capture and print packets",
        aliases: &[],
        imitates: &["tcpdump"],
        command: box_sniff::cli::command,
        run: box_sniff::run,
        needs: box_sniff::doctor::needs,
        sigpipe: SigPipe::Die,
        heap: Heap::System,
    },
    #[cfg(feature = "container")]
    Applet {
        name: "container",
        about: "Run containers from OCI images without a daemon",
        aliases: &[],
        imitates: &["runc", "crun"],
        command: box_container::cli::command,
        run: |invocation| box_container::run(invocation, &links()),
        needs: box_container::doctor::needs,
        sigpipe: SigPipe::Die,
        heap: Heap::System,
    },
];

/// What `box sql` opens beside SQLite files, asked in this order.
#[cfg(feature = "sql")]
static TABLES: &[box_table::Opener] = &[];

/// The names that lead to an applet, for the image that is this binary.
#[cfg(feature = "container")]
fn links() -> Vec<&'static str> {
    APPLETS
        .iter()
        .flat_map(|applet| std::iter::once(&applet.name).chain(applet.aliases))
        .copied()
        .collect()
}
