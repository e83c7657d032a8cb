//! The dot-commands: one row each in a table, found by their name or its start.

use std::path::PathBuf;
use std::process::Command;

use box_kit::Failure;

use super::mode::Mode;
use super::words::{split, truth, unescaped};
use super::{Next, Shell, dump, import, quoting, schema};
use crate::error::Error;

type Run = fn(&mut Shell, &[String]) -> Result<Next, Failure>;

/// A dot-command.
struct Dot {
    name: &'static str,
    /// Fewest letters of the name that mean it.
    least: usize,
    /// What `.help` shows: the words behind the name, and what it does.
    usage: &'static str,
    about: &'static str,
    /// Refused by `-safe`.
    unsafe_: bool,
    run: Run,
}

const fn dot(
    name: &'static str,
    least: usize,
    usage: &'static str,
    about: &'static str,
    run: Run,
) -> Dot {
    Dot { name, least, usage, about, unsafe_: false, run }
}

const fn unsafe_dot(
    name: &'static str,
    least: usize,
    usage: &'static str,
    about: &'static str,
    run: Run,
) -> Dot {
    Dot { name, least, usage, about, unsafe_: true, run }
}

static DOTS: &[Dot] = &[
    unsafe_dot("backup", 3, "?DB? FILE", "Copy the database into FILE", dump::backup),
    dot("bail", 3, "on|off", "Stop after the first error; default off", bail),
    dot("binary", 2, "on|off", "Accepted: output is always binary", binary),
    unsafe_dot("cd", 2, "DIRECTORY", "Change the working directory", cd),
    dot("changes", 3, "on|off", "Show how many rows a statement changed", changes),
    dot("databases", 2, "", "List the databases and their files", schema::databases),
    dot("dump", 2, "?OBJECTS?", "Write the database as SQL", dump::dump),
    dot("echo", 3, "on|off", "Show each command before it runs", echo),
    dot("eqp", 3, "on|off", "Show the query plan before each statement runs", eqp),
    dot("exit", 3, "?CODE?", "End the shell, with CODE", exit),
    dot("explain", 3, "on|off|auto", "How EXPLAIN is shown; default auto", explain),
    dot("fullschema", 1, "", "The schema and the statistics of ANALYZE", schema::fullschema),
    dot("headers", 1, "on|off", "Column names above the rows", headers),
    dot("help", 3, "?PATTERN?", "This list, or the commands that match", help),
    unsafe_dot("import", 1, "FILE TABLE", "Read rows from FILE into TABLE", import::run),
    dot("indexes", 3, "?TABLE?", "Names of the indexes", schema::indexes),
    dot("indices", 3, "?TABLE?", "Names of the indexes", schema::indexes),
    dot("limit", 5, "", "The limits of the engine", limit),
    unsafe_dot("log", 3, "FILE|off", "Accepted: errors go to standard error", log),
    dot("mode", 1, "MODE ?OPTIONS?", "How rows are shown", mode),
    dot("nullvalue", 3, "TEXT", "What stands for NULL", nullvalue),
    unsafe_dot("once", 2, "?FILE?", "The next statement's output goes to FILE", once),
    unsafe_dot("open", 2, "?OPTIONS? ?FILE?", "Close the database and open FILE", open),
    unsafe_dot("output", 1, "?FILE?", "Output goes to FILE, or back to the screen", output),
    dot("parameter", 3, "CMD ...", "Values of parameters: set, unset, list, clear", parameter),
    dot("print", 3, "TEXT...", "Print TEXT", print),
    dot("prompt", 2, "MAIN CONTINUE", "Replace the prompts", prompt),
    dot("quit", 1, "", "End the shell", exit),
    unsafe_dot("read", 3, "FILE", "Run the commands in FILE", read),
    unsafe_dot("restore", 3, "?DB? FILE", "Replace the database by the one in FILE", dump::restore),
    unsafe_dot("save", 3, "FILE", "Copy the database into FILE", dump::backup),
    dot("schema", 2, "?PATTERN?", "The CREATE statements", schema::schema),
    dot("separator", 2, "COL ?ROW?", "What divides columns and rows", separator),
    unsafe_dot("shell", 3, "CMD ARGS...", "Run CMD in a system shell", shell_command),
    dot("show", 2, "", "The settings", show),
    dot("stats", 3, "on|off", "Accepted: statistics of the engine", stats),
    unsafe_dot("system", 3, "CMD ARGS...", "Run CMD in a system shell", shell_command),
    dot("tables", 1, "?PATTERN?", "Names of tables and views", schema::tables),
    dot("timeout", 5, "MS", "Wait MS milliseconds for a lock", timeout),
    dot("timer", 5, "on|off", "Show how long a statement took", timer),
    dot("version", 1, "", "The versions", version),
    dot("width", 1, "NUM1 NUM2 ...", "Least widths of columns; negative: to the right", width),
];

/// The names, for completion.
pub static NAMES: &[&str] = &[
    "backup",
    "bail",
    "cd",
    "changes",
    "databases",
    "dump",
    "echo",
    "eqp",
    "exit",
    "explain",
    "fullschema",
    "headers",
    "help",
    "import",
    "indexes",
    "mode",
    "nullvalue",
    "once",
    "open",
    "output",
    "parameter",
    "print",
    "prompt",
    "quit",
    "read",
    "restore",
    "save",
    "schema",
    "separator",
    "shell",
    "show",
    "tables",
    "timeout",
    "timer",
    "version",
    "width",
];

/// Runs the line behind the dot.
///
/// # Errors
/// The output does not take what is written.
pub fn run(shell: &mut Shell, line: &[u8]) -> Result<Next, Failure> {
    let words: Vec<String> =
        split(line).iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let Some((name, args)) = words.split_first() else { return Ok(Next::Continue) };
    let found =
        DOTS.iter().find(|dot| name.len() >= dot.least && dot.name.starts_with(name.as_str()));
    let Some(found) = found else {
        shell.output.complain(&format!(
            "Error: unknown command or invalid arguments:  \"{name}\". Enter \".help\" for help\n"
        ))?;
        return Ok(Next::Failed);
    };
    if found.unsafe_ && shell.safe {
        shell.output.complain(&format!("cannot run .{} in safe mode\n", found.name))?;
        return Ok(Next::Leave(1));
    }
    (found.run)(shell, args)
}

/// Prints an error and goes on.
pub fn failed(shell: &mut Shell, text: &str) -> Result<Next, Failure> {
    shell.output.complain(text)?;
    Ok(Next::Failed)
}

/// Prints the engine's error behind `Error: `.
pub fn engine_failed(shell: &mut Shell, error: &Error) -> Result<Next, Failure> {
    failed(shell, &format!("Error: {error}\n"))
}

fn usage(shell: &mut Shell, text: &str) -> Result<Next, Failure> {
    failed(shell, &format!("Usage: {text}\n"))
}

/// Sets a switch by the only argument.
fn switch(
    shell: &mut Shell,
    args: &[String],
    text: &str,
    set: impl Fn(&mut Shell, bool),
) -> Result<Next, Failure> {
    let [word] = args else { return usage(shell, text) };
    let Some(on) = truth(word.as_bytes()) else {
        shell
            .output
            .complain(&format!("ERROR: Not a boolean value: \"{word}\". Assuming \"no\".\n"))?;
        set(shell, false);
        return Ok(Next::Continue);
    };
    set(shell, on);
    Ok(Next::Continue)
}

fn bail(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    switch(shell, args, ".bail on|off", |shell, on| shell.bail = on)
}

fn binary(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    switch(shell, args, ".binary on|off", |_, _| ())
}

fn changes(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    switch(shell, args, ".changes on|off", |shell, on| shell.session.changes = on)
}

fn echo(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    switch(shell, args, ".echo on|off", |shell, on| shell.echo = on)
}

fn eqp(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    switch(shell, args, ".eqp off|on|trace|trigger|full", |shell, on| {
        shell.session.explain_plan = on;
    })
}

fn headers(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    switch(shell, args, ".headers on|off", |shell, on| {
        shell.layout.headers = on;
        shell.layout.headers_chosen = true;
    })
}

fn timer(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    switch(shell, args, ".timer on|off", |shell, on| shell.session.timer = on)
}

fn stats(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    if args.is_empty() {
        return Ok(Next::Continue);
    }
    switch(shell, args, ".stats on|off", |shell, on| shell.session.stats = on)
}

fn explain(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    shell.session.explain = match args.first().map(String::as_str) {
        Some("auto") => "auto",
        Some(word) if truth(word.as_bytes()) == Some(false) => "off",
        _ => "on",
    };
    Ok(Next::Continue)
}

fn log(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    if args.len() == 1 { Ok(Next::Continue) } else { usage(shell, ".log FILENAME") }
}

fn cd(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    let [folder] = args else { return usage(shell, ".cd DIRECTORY") };
    if std::env::set_current_dir(folder).is_err() {
        return failed(shell, &format!("Cannot change to directory \"{folder}\"\n"));
    }
    Ok(Next::Continue)
}

fn exit(_: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    let code = args.first().and_then(|word| word.parse::<i64>().ok()).unwrap_or(0);
    Ok(Next::Leave((code & 0xff) as u8))
}

fn help(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    let pattern =
        args.iter().find(|word| !word.starts_with('-')).map(|word| word.trim_start_matches('.'));
    let found = DOTS.iter().filter(|dot| match pattern {
        None => dot.name != "indices",
        Some(pattern) => {
            dot.name.starts_with(pattern)
                || super::words::like(pattern.as_bytes(), dot.name.as_bytes())
        }
    });
    let lines: Vec<String> = found
        .map(|dot| {
            let head = format!(".{} {}", dot.name, dot.usage);
            format!("{:24} {}\n", head.trim_end(), dot.about)
        })
        .collect();
    if lines.is_empty() {
        let pattern = pattern.unwrap_or_default().to_owned();
        shell.output.write(format!("Nothing matches '{pattern}'\n").as_bytes())?;
        return Ok(Next::Continue);
    }
    shell.output.write(lines.concat().as_bytes())?;
    Ok(Next::Continue)
}

fn limit(shell: &mut Shell, _: &[String]) -> Result<Next, Failure> {
    // The names and figures of SQLite's compile-time limits, which this engine keeps.
    for (name, value) in [
        ("length", 1_000_000_000),
        ("sql_length", 1_000_000_000),
        ("column", 2000),
        ("expr_depth", 1000),
        ("compound_select", 500),
        ("function_arg", 127),
        ("attached", 10),
        ("like_pattern_length", 50_000),
        ("variable_number", 250_000),
        ("trigger_depth", 1000),
    ] {
        shell.output.write(format!("{name:>20} {value}\n").as_bytes())?;
    }
    Ok(Next::Continue)
}

const MODES: &str =
    "ascii box column csv html insert json line list markdown qbox quote table tabs tcl";

fn mode(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    let (mut name, mut table) = (None, None);
    let (mut wrap, mut word_wrap, mut quote) = (None, None, None);
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let option = word.trim_start_matches('-');
        match option {
            option if option.len() == word.len() => {
                if name.is_none() {
                    name = Some(option);
                } else {
                    table = Some(option);
                }
            }
            "wrap" => wrap = words.next().and_then(|word| word.parse::<usize>().ok()),
            "ww" => word_wrap = Some(true),
            "wordwrap" => word_wrap = words.next().and_then(|word| truth(word.as_bytes())),
            "quote" => quote = Some(true),
            "noquote" => quote = Some(false),
            _ => {
                return failed(
                    shell,
                    &format!(
                        "unknown option: {word}\noptions:\n  --noquote\n  --quote\n  --wordwrap on/off\n  --wrap N\n  --ww\n"
                    ),
                );
            }
        }
    }
    let layout = &mut shell.layout;
    let Some(name) = name else {
        if wrap.is_none() && word_wrap.is_none() && quote.is_none() {
            let mode = layout.mode;
            let mut text = format!("current output mode: {}", mode.name());
            if mode.is_columnar() {
                let word = if layout.word_wrap { "on" } else { "off" };
                let no = if layout.quote { "" } else { "no" };
                text += &format!(" --wrap {} --wordwrap {word} --{no}quote", layout.wrap);
            }
            shell.output.write(format!("{text}\n").as_bytes())?;
            return Ok(Next::Continue);
        }
        layout.wrap = wrap.unwrap_or(layout.wrap);
        layout.word_wrap = word_wrap.unwrap_or(layout.word_wrap);
        layout.quote = quote.unwrap_or(layout.quote);
        return Ok(Next::Continue);
    };
    // The start of a name is enough, as long as sqlite3 takes it.
    let full = match name {
        "qbox" => "box",
        "tabs" => "list",
        "lines" | "columns" => name,
        _ => {
            let names = [
                "line", "column", "list", "html", "tcl", "csv", "tabs", "insert", "quote", "ascii",
                "markdown", "table", "box", "json",
            ];
            let found = names.into_iter().find(|full| full.starts_with(name));
            match found {
                Some("tabs") => "list",
                Some(full) => full,
                None => return failed(shell, &format!("Error: mode should be one of: {MODES}\n")),
            }
        }
    };
    let Some(mode) = Mode::named(full) else {
        return failed(shell, &format!("Error: mode should be one of: {MODES}\n"));
    };
    layout.set_mode(mode);
    layout.wrap = wrap.unwrap_or(60);
    layout.word_wrap = word_wrap.unwrap_or(false);
    layout.quote = quote.unwrap_or(name == "qbox");
    if name != "list" && full == "list" && name.starts_with("tab") {
        layout.column_separator = b"\t".to_vec();
    }
    if mode == Mode::Insert {
        layout.table.clear();
        quoting::identifier(&mut layout.table, table.unwrap_or("table").as_bytes());
    }
    Ok(Next::Continue)
}

fn nullvalue(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    let [text] = args else { return usage(shell, ".nullvalue STRING") };
    shell.layout.null = text.clone().into_bytes();
    Ok(Next::Continue)
}

fn redirect(shell: &mut Shell, args: &[String], once: bool) -> Result<Next, Failure> {
    let name = args.iter().find(|word| !word.starts_with("--")).map_or("stdout", String::as_str);
    let name = name.to_owned();
    if !shell.output.redirect(&name, once)? {
        return failed(shell, &format!("Error: cannot write to \"{name}\"\n"));
    }
    Ok(Next::Continue)
}

fn once(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    redirect(shell, args, true)
}

fn output(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    redirect(shell, args, false)
}

fn open(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    let mut readonly = false;
    let mut file = None;
    for word in args {
        match word.as_str() {
            "--readonly" | "-readonly" => readonly = true,
            "--new" | "-new" => {
                if let Some(file) = args.iter().find(|word| !word.starts_with('-')) {
                    // A file that is not there is as new as one that was removed.
                    let _ = std::fs::remove_file(file);
                }
            }
            word if word.starts_with('-') => {
                return failed(shell, &format!("unknown option: {word}\n"));
            }
            word => file = Some(PathBuf::from(word)),
        }
    }
    let file = file.unwrap_or_else(|| PathBuf::from(":memory:"));
    if let Err(error) = shell.session.reopen(&file, readonly) {
        let file = file.display();
        return failed(shell, &format!("Error: unable to open database \"{file}\": {error}\n"));
    }
    Ok(Next::Continue)
}

fn parameter(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["init"] => {}
        ["clear"] => shell.session.parameters.clear(),
        ["list"] => {
            let width = shell.session.parameters.keys().map(Vec::len).max().unwrap_or(0);
            let mut out = Vec::new();
            for (name, value) in &shell.session.parameters {
                let name = String::from_utf8_lossy(name);
                out.extend_from_slice(format!("{name:width$} ").as_bytes());
                super::mode::literal(&mut out, value);
                out.push(b'\n');
            }
            shell.output.write(&out)?;
        }
        ["set", name, value] => {
            // An expression where it is one, else the text itself.
            let found = shell.session.query(&format!("SELECT {value}"));
            let found = found.ok().and_then(|rows| rows.into_iter().next()?.into_iter().next());
            let text = || crate::value::Owned::Text(value.as_bytes().to_vec().into());
            let value = found.unwrap_or_else(text);
            shell.session.parameters.insert(name.as_bytes().to_vec(), value);
        }
        ["unset", name] => {
            shell.session.parameters.remove(name.as_bytes());
        }
        _ => {
            return usage(
                shell,
                ".parameter CMD ...\n   clear|init|list|set NAME VALUE|unset NAME",
            );
        }
    }
    Ok(Next::Continue)
}

fn print(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    shell.output.write(format!("{}\n", args.join(" ")).as_bytes())?;
    Ok(Next::Continue)
}

fn prompt(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    if let Some(main) = args.first() {
        shell.prompt.clone_from(main);
    }
    if let Some(continuation) = args.get(1) {
        shell.continuation.clone_from(continuation);
    }
    Ok(Next::Continue)
}

fn read(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    let [file] = args else { return usage(shell, ".read FILE") };
    let file = PathBuf::from(file);
    shell.read_file(&file)
}

fn separator(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    let (column, row) = match args {
        [column] => (column, None),
        [column, row] => (column, Some(row)),
        _ => return usage(shell, ".separator COL ?ROW?"),
    };
    shell.layout.column_separator = unescaped(column.as_bytes());
    if let Some(row) = row {
        shell.layout.row_separator = unescaped(row.as_bytes());
    }
    Ok(Next::Continue)
}

fn shell_command(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    if args.is_empty() {
        return usage(shell, ".system COMMAND");
    }
    shell.output.flush()?;
    let status = Command::new("/bin/sh").args(["-c", &args.join(" ")]).status();
    match status.map(|status| status.code().unwrap_or(-1)) {
        Ok(0) => Ok(Next::Continue),
        Ok(code) => {
            shell.output.complain(&format!("System command returns {code}\n"))?;
            Ok(Next::Continue)
        }
        Err(error) => failed(shell, &format!("Error: {error}\n")),
    }
}

fn show(shell: &mut Shell, _: &[String]) -> Result<Next, Failure> {
    let on_off = |on: bool| if on { "on" } else { "off" };
    let quoted = |text: &[u8]| {
        let mut out = Vec::new();
        quoting::c_string(&mut out, text);
        String::from_utf8_lossy(&out).into_owned()
    };
    let layout = &shell.layout;
    let mut mode = layout.mode.name().to_owned();
    if layout.mode.is_columnar() {
        let no = if layout.quote { "" } else { "no" };
        mode +=
            &format!(" --wrap {} --wordwrap {} --{no}quote", layout.wrap, on_off(layout.word_wrap));
    }
    let widths: String = layout.widths.iter().map(|width| format!("{width} ")).collect();
    let lines = [
        ("echo", on_off(shell.echo).to_owned()),
        ("eqp", on_off(shell.session.explain_plan).to_owned()),
        ("explain", shell.session.explain.to_owned()),
        ("headers", on_off(layout.headers).to_owned()),
        ("mode", mode),
        ("nullvalue", quoted(&layout.null)),
        ("output", shell.output.name().to_owned()),
        ("colseparator", quoted(&layout.column_separator)),
        ("rowseparator", quoted(&layout.row_separator)),
        ("stats", on_off(shell.session.stats).to_owned()),
        ("width", widths),
        ("filename", shell.session.path().display().to_string()),
    ];
    for (name, value) in lines {
        shell.output.write(format!("{name:>12}: {value}\n").as_bytes())?;
    }
    Ok(Next::Continue)
}

fn timeout(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    let ms = args.first().and_then(|word| word.parse().ok()).unwrap_or(0);
    shell.session.set_timeout_ms(ms);
    Ok(Next::Continue)
}

fn version(shell: &mut Shell, _: &[String]) -> Result<Next, Failure> {
    let text =
        format!("SQLite {}\nbox {}\n", crate::func::SQLITE_VERSION, env!("CARGO_PKG_VERSION"));
    shell.output.write(text.as_bytes())?;
    Ok(Next::Continue)
}

fn width(shell: &mut Shell, args: &[String]) -> Result<Next, Failure> {
    shell.layout.widths = args.iter().map(|word| word.parse().unwrap_or(0)).collect();
    Ok(Next::Continue)
}
