//! The command line of `box sql`, for help, man page and completion. The words themselves are
//! read by `shell::args`, which takes sqlite3's single dashes.

use clap::{Arg, ArgAction, Command};

/// The clap tree.
pub fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
    };
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("sql")
        .about("Query and change SQLite database files")
        .long_about(
            "Query and change SQLite database files, with sqlite3's shell, dialect, file format \
             and locks.\n\nWithout SQL on the command line it is read from standard input, or \
             from a person at a prompt (.help lists its commands). Options take one dash or two.",
        )
        .after_help(
            "Examples:\n  box sql app.db 'select count(*) from users'\n  \
             box sql -json app.db 'select * from users limit 3'\n  \
             box sql app.db .dump | gzip > app.sql.gz\n  \
             box sql app.db '.mode csv' '.import users.csv users'",
        )
        .disable_version_flag(true)
        .args([
            Arg::new("file").value_name("FILE").help("Database file; made when it is written to"),
            Arg::new("sql").value_name("SQL").num_args(0..).help("SQL or dot-commands to run"),
            flag("ascii", "Columns and rows divided by 0x1F and 0x1E"),
            flag("box", "Tables of box-drawing characters"),
            flag("column", "Aligned columns"),
            flag("csv", "Comma-separated values"),
            flag("html", "Rows of an HTML table"),
            flag("json", "A JSON array of objects"),
            flag("line", "One value a line"),
            flag("list", "Values divided by | (the default)"),
            flag("markdown", "A Markdown table"),
            flag("quote", "SQL literals"),
            flag("table", "Tables of ASCII characters"),
            flag("tabs", "Tab-separated values"),
            flag("header", "Column names above the rows"),
            flag("noheader", "No column names"),
            value("separator", "SEP", "What divides columns"),
            value("newline", "SEP", "What ends rows"),
            value("nullvalue", "TEXT", "What stands for NULL"),
            value("cmd", "COMMAND", "Run COMMAND before anything else"),
            value("init", "FILE", "Read FILE in place of ~/.sqliterc"),
            flag("bail", "Stop after the first error"),
            flag("batch", "Never prompt"),
            flag("echo", "Show commands before they run"),
            flag("interactive", "Prompt even where no terminal is"),
            flag("nofollow", "Refuse a database file that is a symbolic link"),
            flag("readonly", "Open the database to be read only"),
            flag("safe", "Refuse commands that reach other files or programs"),
            flag("stats", "Accepted for sqlite3's sake"),
            flag("version", "Show the version"),
        ])
}
