//! `-it`: a real pseudo-terminal in front, driven by python.

use std::process::Command;

use box_harness::{Ran, oracle, shared};

use super::Engine;

const DRIVER: &str = r#"
import os, pty, sys, select, time, fcntl, termios, struct, signal
script, argv = sys.argv[1].split('|'), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0: os.execv(argv[0], argv)
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 40, 100, 0, 0))
out = b''
def until(text):
    global out
    end = time.time() + 15
    while text not in out:
        if time.time() > end: print('no', text, 'in', out); sys.exit(99)
        r, _, _ = select.select([fd], [], [], 0.2)
        if r:
            try: out += os.read(fd, 4096)
            except OSError: break
    out = out.split(text, 1)[1] if text in out else b''
for step in script:
    verb, _, rest = step.partition(' ')
    rest = rest.encode().decode('unicode_escape').encode('latin1')
    if verb == 'expect': until(rest)
    elif verb == 'send': os.write(fd, rest)
    elif verb == 'size':
        rows, cols = map(int, rest.split())
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, cols, 0, 0))
while True:
    try:
        if not os.read(fd, 4096): break
    except OSError: break
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"#;

fn drive(engine: &Engine, steps: &str, words: Vec<String>) -> Option<Ran> {
    let python = oracle("python3")?;
    let inner = engine.command(words);
    let mut command = Command::new(python);
    command.args(["-c", DRIVER, steps]).arg(inner.get_program()).args(inner.get_args());
    Some(Ran::feed(command, ""))
}

#[test]
fn a_terminal_is_one_inside() {
    let Some(engine) = Engine::new() else { return };
    let script = "trap 'echo inter''rupted; exit 5' INT; busybox tty; while :; do stty size; sleep 0.05; done";
    let words = engine.words(&["run", "-it", "--rm", "--network", "none"], &[], script);
    let steps = "expect /dev/pts/0|size 33 77|expect 33 77|size 44 88|expect 44 88|\
        send \\x03|expect interrupted";
    if let Some(ran) = drive(&engine, steps, words) {
        ran.fails(5);
    }
}

#[test]
fn detach_keys_leave_it_running() {
    let Some(engine) = Engine::new() else { return };
    let words = engine.words(
        &["run", "-it", "--name", "left", "--network", "none"],
        &[],
        "echo rea''dy; exec sh",
    );
    let Some(ran) = drive(&engine, "expect ready|send \\x10\\x11", words) else { return };
    ran.succeeds();
    assert_eq!(engine.inspect("left", "{{.State.Status}}"), "running");
    let words = ["attach", "left"].map(str::to_owned).into();
    let ran = drive(&engine, "send echo a''b\\r|expect ab|send exit 6\\r", words).unwrap();
    ran.fails(6);
}

#[test]
fn an_exec_gets_a_terminal_too() {
    let Some(engine) = Engine::new() else { return };
    let words =
        engine.words(&["run", "-d", "--name", "base", "--network", "none"], &[], "sleep 100");
    engine.run(words).succeeds();
    let words = ["exec", "-it", "base", "sh"].map(str::to_owned).into();
    let steps = "send busybox tty\\r|expect /dev/pts/0|send exit 3\\r";
    if let Some(ran) = drive(&engine, steps, words) {
        ran.fails(3);
    }
}

#[test]
fn a_terminal_is_refused_where_there_is_none() {
    let Some(engine) = Engine::new() else { return };
    let words = engine.words(&["run", "-it", "--rm", "--network", "none"], &[], "true");
    engine.run(words).fails(125).stderr("box: container: the input device is not a TTY\n");
}

/// Pure version 1 and pure version 2 views of the machine's cgroups.
#[test]
fn either_version_of_cgroups_will_do() {
    let Some(engine) = Engine::new() else { return };
    let Some(views) = shared("tools/container/with_cgroups.sh") else { return };
    for view in ["v1", "v2", "asis"] {
        let words = engine.words(
            &["run", "--rm", "--network", "none"],
            &[],
            "cat /proc/self/cgroup >/dev/null; exit 3",
        );
        let inner = engine.command(words);
        let mut command = Command::new("bash");
        command.arg(&views).arg(view).arg(inner.get_program()).args(inner.get_args());
        Ran::feed(command, "").fails(3);
    }
}
