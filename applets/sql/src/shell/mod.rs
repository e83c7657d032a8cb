//! The shell: `box sql FILE`, to the letter sqlite3's.
//!
//! ```text
//! argv ──args──▶ Shell ◀──lines── file, pipe or prompt (editor)
//!                  │ a line that begins with a dot ──words──▶ dot ─▶ import, dump, schema
//!                  │ else lines up to a semicolon  ──▶ session: prepare, step, bind
//!                  ▼
//!                output ◀── mode (row by row) or columnar (all rows first)
//! ```
//!
//! Standard output is one large buffer that is flushed before anything is read from standard input,
//! so that a program that drives the shell through pipes sees each answer before its next question.
//! `sqlite3` does not, and hangs there.

mod args;
mod columnar;
mod dot;
mod dump;
mod editor;
mod import;
mod input;
mod message;
mod mode;
mod output;
mod quoting;
mod schema;
mod session;
mod words;

use std::path::{Path, PathBuf};

use box_kit::{Exit, Failure, Invocation, Name, Outcome};

use args::{Args, BadArgs, Setting, Wanted};
use editor::Editor;
use input::Input;
use message::Origin;
use mode::{Layout, Mode};
use output::Output;
use session::Session;

use crate::func::SQLITE_VERSION;

/// What an interpreted line leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Go on.
    Continue,
    /// It failed; go on unless `.bail` is on.
    Failed,
    /// End the shell with this code.
    Leave(u8),
}

/// A running shell.
struct Shell {
    name: Name,
    session: Session,
    output: Output,
    layout: Layout,
    /// `-safe`
    safe: bool,
    bail: bool,
    echo: bool,
    prompt: String,
    continuation: String,
    /// `.read` and `.sqliterc` within each other.
    depth: usize,
}

/// `.read` files nest at most so deep.
const READ_DEPTH_MAX: usize = 25;

/// Runs the shell.
///
/// # Errors
/// The command line is misused, or the database cannot be opened.
pub fn run(invocation: &Invocation) -> Outcome {
    let args = match args::parse(&invocation.args) {
        Ok(Wanted::Shell(args)) => *args,
        Ok(Wanted::Help) => return help(invocation),
        Ok(Wanted::Version) => return version(invocation.name),
        Err(bad) => return Err(misuse(invocation.name, &bad)),
    };
    let mut shell = Shell::open(invocation.name, &args)?;
    shell.start(&args)
}

fn help(invocation: &Invocation) -> Outcome {
    let mut command = crate::cli::command().bin_name(invocation.name.program());
    let text = command.render_long_help().to_string();
    Output::stdout().print(text.as_bytes())?;
    Ok(Exit::DONE)
}

fn version(name: Name) -> Outcome {
    let text = match name {
        Name::Own(_) => format!("box {} (SQLite {SQLITE_VERSION})\n", env!("CARGO_PKG_VERSION")),
        Name::Imitated(_) => format!("{SQLITE_VERSION} (box {})\n", env!("CARGO_PKG_VERSION")),
    };
    Output::stdout().print(text.as_bytes())?;
    Ok(Exit::DONE)
}

fn misuse(name: Name, bad: &BadArgs) -> Failure {
    let reason = match bad {
        BadArgs::Unknown(option) => format!("unknown option: {option}"),
        BadArgs::MissingValue(option) => format!("missing argument to {option}"),
    };
    match name {
        Name::Own(_) => Failure::misuse(reason).advise("try: box sql --help"),
        Name::Imitated(_) => {
            Failure::new(format!("Error: {reason}")).advise("Use -help for a list of options.")
        }
    }
}

impl Shell {
    fn open(name: Name, args: &Args) -> Result<Shell, Failure> {
        let file = args.file.clone().unwrap_or_else(|| PathBuf::from(":memory:"));
        // A link in place of the file is refused by the engine's own open, not here.
        let session = Session::open(&file, args.readonly, args.nofollow);
        let session = session.map_err(|error| {
            let reason = format!("unable to open database \"{}\": {error}", file.display());
            Failure::new(match name {
                Name::Own(_) => reason,
                Name::Imitated(_) => format!("Error: {reason}"),
            })
        })?;
        let mut shell = Shell {
            name,
            session,
            output: Output::stdout(),
            layout: Layout::new(),
            safe: args.safe,
            bail: args.bail,
            echo: args.echo,
            prompt: "sqlite> ".to_owned(),
            continuation: "   ...> ".to_owned(),
            depth: 0,
        };
        if matches!(name, Name::Own(_)) {
            shell.prompt = "sql> ".to_owned();
            shell.continuation = "...> ".to_owned();
        }
        Ok(shell)
    }

    /// The initialisation file, the settings, then commands or input.
    fn start(&mut self, args: &Args) -> Outcome {
        let interactive =
            args.interactive || (!args.batch && args.commands.is_empty() && editor::is_terminal());
        if interactive
            && args.commands.is_empty()
            && self.layout.mode == Mode::List
            && matches!(self.name, Name::Own(_))
        {
            self.layout.set_mode(Mode::Box);
        }
        self.read_init_file(args)?;
        for setting in &args.settings {
            self.apply(setting);
        }
        for command in &args.before {
            if let Some(exit) = self.argument(command)? {
                return Ok(exit);
            }
        }
        let exit = if !args.commands.is_empty() {
            self.arguments(&args.commands)?
        } else if interactive {
            self.converse()?
        } else {
            let mut input = Input::stdin();
            self.interpret(&mut input)?
        };
        self.session.close(&mut self.output);
        self.output.flush()?;
        Ok(exit)
    }

    fn apply(&mut self, setting: &Setting) {
        let layout = &mut self.layout;
        match setting {
            Setting::Mode(mode) => {
                let headers = layout.headers;
                layout.set_mode(*mode);
                // On the command line a columnar mode brings its headers, as `.mode` does.
                layout.headers |= headers;
            }
            Setting::Tabs => {
                layout.mode = Mode::List;
                layout.column_separator = b"\t".to_vec();
                layout.row_separator = b"\n".to_vec();
            }
            Setting::Headers(on) => {
                layout.headers = *on;
                layout.headers_chosen = true;
            }
            Setting::Separator(text) => layout.column_separator = words::unescaped(text),
            Setting::Newline(text) => layout.row_separator = words::unescaped(text),
            Setting::Null(text) => layout.null.clone_from(text),
        }
    }

    fn read_init_file(&mut self, args: &Args) -> Result<(), Failure> {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let path = match (&args.init, home) {
            (Some(path), _) => path.clone(),
            (None, Some(home)) => home.join(".sqliterc"),
            (None, None) => return Ok(()),
        };
        if args.init.is_none() && !path.exists() {
            return Ok(());
        }
        match Input::file(&path) {
            Ok(mut input) => {
                if editor::is_terminal() {
                    self.output
                        .complain(&format!("-- Loading resources from {}\n", path.display()))?;
                }
                self.interpret(&mut input).map(drop)
            }
            Err(_) => self.output.complain(&format!("cannot open: \"{}\"\n", path.display())),
        }
    }

    /// The commands behind the file name; the first that fails ends the shell.
    fn arguments(&mut self, commands: &[Vec<u8>]) -> Outcome {
        for command in commands {
            if let Some(exit) = self.argument(command)? {
                self.output.flush()?;
                return Ok(exit);
            }
        }
        Ok(Exit::DONE)
    }

    /// One command; a code where the shell ends with it.
    fn argument(&mut self, command: &[u8]) -> Result<Option<Exit>, Failure> {
        if let Some(line) = command.strip_prefix(b".") {
            return Ok(match dot::run(self, line)? {
                Next::Continue => None,
                Next::Failed => Some(Exit::FAILED),
                Next::Leave(code) => Some(Exit(code)),
            });
        }
        let failed = session::run(self, command, Origin::Argument)?;
        // sqlite3 ends with the error's code here, and with 1 where the input is a file.
        Ok(failed.map(|code| Exit(u8::try_from(code & 0xff).unwrap_or(1))))
    }

    /// Reads and runs `input` to its end: 1 where anything of it failed.
    fn interpret(&mut self, input: &mut Input) -> Outcome {
        let mut exit = Exit::DONE;
        while let Some(piece) = input.next(&mut self.output)? {
            match self.piece(&piece)? {
                Next::Continue => {}
                Next::Failed => {
                    exit = Exit::FAILED;
                    if self.bail {
                        break;
                    }
                }
                Next::Leave(code) => return Ok(Exit(code)),
            }
        }
        Ok(exit)
    }

    fn piece(&mut self, piece: &input::Piece) -> Result<Next, Failure> {
        if self.echo {
            self.output.write(&piece.text)?;
            self.output.write(b"\n")?;
        }
        match piece.text.strip_prefix(b".") {
            Some(line) if piece.is_command => dot::run(self, line),
            _ => {
                let failed = session::run(self, &piece.text, piece.origin)?;
                Ok(if failed.is_some() { Next::Failed } else { Next::Continue })
            }
        }
    }

    /// A person at the prompt.
    fn converse(&mut self) -> Outcome {
        self.greet()?;
        self.session.stop_on_interrupt()?;
        let mut editor = Editor::new()?;
        loop {
            self.output.flush()?;
            let names = self.session.completions();
            let Some(piece) = editor.next(&self.prompt, &self.continuation, names)? else {
                return Ok(Exit::DONE);
            };
            if let Next::Leave(code) = self.piece(&piece)? {
                return Ok(Exit(code));
            }
        }
    }

    fn greet(&mut self) -> Result<(), Failure> {
        let what = match self.name {
            Name::Own(_) => {
                format!("box {} sql (SQLite {SQLITE_VERSION})", env!("CARGO_PKG_VERSION"))
            }
            Name::Imitated(_) => format!("SQLite version {SQLITE_VERSION}"),
        };
        self.output.print(format!("{what}\nEnter \".help\" for usage hints.\n").as_bytes())?;
        if self.session.path() == Path::new(":memory:") {
            let hint = "Connected to a transient in-memory database.\n\
                        Use \".open FILENAME\" to reopen on a persistent database.\n";
            self.output.print(hint.as_bytes())?;
        }
        Ok(())
    }

    /// Runs the commands of a file (`.read`).
    fn read_file(&mut self, path: &Path) -> Result<Next, Failure> {
        if self.depth >= READ_DEPTH_MAX {
            self.output.complain("Input nesting limit (25) reached. Check recursion.\n")?;
            return Ok(Next::Failed);
        }
        match Input::file(path) {
            Ok(mut input) => {
                self.depth += 1;
                let exit = self.interpret(&mut input);
                self.depth -= 1;
                Ok(if exit? == Exit::DONE { Next::Continue } else { Next::Failed })
            }
            Err(_) => {
                self.output.complain(&format!("Error: cannot open \"{}\"\n", path.display()))?;
                Ok(Next::Failed)
            }
        }
    }
}
