//! The server as its clients see it: protocol, start, blocking, pub/sub, transactions, memory.

use box_harness::{free_port, oracle, scratch};

use crate::support::{Client, Server, bx};

#[test]
fn a_stream_cut_anywhere_is_answered_the_same() {
    let dir = scratch();
    let server = Server::ours(dir.path(), &["--save", ""]);
    let stream =
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\nGET k\r\n*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n";
    for cut in 1..stream.len() {
        let mut client = server.client();
        client.raw(&stream[..cut]);
        client.raw(&stream[cut..]);
        let replies = [client.reply(), client.reply(), client.reply()];
        assert_eq!(replies.concat(), b"+OK\r\n$5\r\nhello\r\n$2\r\nhi\r\n", "cut at {cut}");
    }
    let mut client = server.client();
    for number in 0..10_000 {
        client.send(&["INCRBY", "n", &number.to_string()]);
    }
    (1..10_000).for_each(|_| drop(client.reply()));
    let last = client.reply();
    assert_eq!(last, b":49995000\r\n");
}

#[test]
fn a_broken_request_is_named_and_closes_only_its_connection() {
    let dir = scratch();
    let server = Server::ours(dir.path(), &["--save", ""]);
    let mut other = server.client();
    for (request, reply) in [
        (&b"*1\r\nfoo\r\n"[..], "-ERR Protocol error: expected '$', got 'f'\r\n"),
        (b"*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*1\r\n$-2\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        (b"get \"a\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"),
    ] {
        let mut client = server.client();
        client.raw(request);
        assert_eq!(client.reply(), reply.as_bytes());
        assert_eq!(client.try_reply(), None);
    }
    assert_eq!(other.ask("PING"), "+PONG\r\n");
}

#[test]
fn blocked_clients_are_served_first_come_first_served() {
    let dir = scratch();
    for threads in ["1", "3"] {
        let server = Server::ours(dir.path(), &["--save", "", "--threads", threads]);
        let mut waiting: Vec<Client> = (0..4).map(|_| server.client()).collect();
        let mut control = server.client();
        for (number, client) in waiting.iter_mut().enumerate() {
            client.send(&["BLPOP", "nothing", "queue", "0"]);
            let blocked = format!("blocked_clients:{}\r\n", number + 1);
            box_harness::wait_until("it to wait", 10, || {
                control.ask("INFO clients").contains(&blocked)
            });
        }
        assert_eq!(control.ask("RPUSH queue a b c d e"), ":5\r\n");
        assert_eq!(control.ask("LLEN queue"), ":1\r\n");
        for (client, element) in waiting.iter_mut().zip(["a", "b", "c", "d"]) {
            let expected = format!("*2\r\n$5\r\nqueue\r\n$1\r\n{element}\r\n");
            assert_eq!(String::from_utf8(client.reply()).unwrap(), expected);
        }
        let mut mover = server.client();
        mover.send(&["BLMOVE", "from", "to", "LEFT", "RIGHT", "0"]);
        let mut taker = server.client();
        box_harness::wait_until("it to wait", 10, || {
            control.ask("INFO clients").contains("blocked_clients:1\r\n")
        });
        taker.send(&["BLPOP", "to", "0"]);
        box_harness::wait_until("both to wait", 10, || {
            control.ask("INFO clients").contains("blocked_clients:2\r\n")
        });
        control.ask("LPUSH from x");
        assert_eq!(mover.reply(), b"$1\r\nx\r\n");
        assert_eq!(taker.reply(), b"*2\r\n$2\r\nto\r\n$1\r\nx\r\n");
        assert_eq!(control.ask("BLPOP none 0.05"), "*-1\r\n");
    }
}

#[test]
fn a_watched_key_that_changes_stops_the_transaction() {
    let dir = scratch();
    let server = Server::ours(dir.path(), &["--save", "", "--threads", "2"]);
    let (mut a, mut b) = (server.client(), server.client());
    for (change, result) in
        [("SET k 2", "*-1\r\n"), ("SET other 2", "*1\r\n:1\r\n"), ("FLUSHALL", "*-1\r\n")]
    {
        a.ask("DEL n k");
        a.ask("SET k 1");
        a.ask("WATCH k");
        b.ask(change);
        a.ask("MULTI");
        a.ask("INCR n");
        assert_eq!(a.ask("EXEC"), result, "{change}");
    }
    a.ask("MULTI");
    assert_eq!(a.ask("NOSUCH"), "-ERR unknown command 'NOSUCH', with args beginning with: \r\n");
    assert_eq!(a.ask("EXEC"), "-EXECABORT Transaction discarded because of previous errors.\r\n");
}

#[test]
fn messages_reach_listeners_on_all_workers() {
    let dir = scratch();
    let server = Server::ours(
        dir.path(),
        &["--save", "", "--threads", "3", "--notify-keyspace-events", "KEA"],
    );
    let mut listeners: Vec<Client> = (0..4).map(|_| server.client()).collect();
    for client in &mut listeners {
        assert_eq!(client.ask("SUBSCRIBE news"), "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    }
    let mut pattern = server.client();
    pattern.ask("HELLO 3");
    pattern.ask("PSUBSCRIBE __keyspace@0__:*");
    let mut speaker = server.client();
    assert_eq!(speaker.ask("PUBLISH news hi"), ":4\r\n");
    for client in &mut listeners {
        assert_eq!(client.reply(), b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
    }
    speaker.ask("LPUSH l x");
    let message = String::from_utf8(pattern.reply()).unwrap();
    assert!(
        message.starts_with(">4\r\n$8\r\npmessage\r\n") && message.ends_with("lpush\r\n"),
        "{message}"
    );
    assert!(listeners[0].ask("GET x").starts_with("-ERR Can't execute 'get'"));
}

#[test]
fn counters_stay_exact_with_many_workers() {
    let dir = scratch();
    let server = Server::ours(dir.path(), &["--save", "", "--threads", "4"]);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let mut client = server.client();
            std::thread::spawn(move || {
                for _ in 0..500 {
                    for request in
                        [&["MULTI"][..], &["INCR", "a"], &["INCR", "b"], &["EXEC"], &["INCR", "c"]]
                    {
                        client.send(request);
                    }
                }
                for _ in 0..500 {
                    (0..3).for_each(|_| drop(client.reply()));
                    let exec = client.reply();
                    let parts = crate::support::elements(&exec);
                    assert_eq!(parts[0], parts[1], "a and b move together");
                    client.reply();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(
        server.client().ask("MGET a b c"),
        "*3\r\n$4\r\n2000\r\n$4\r\n2000\r\n$4\r\n2000\r\n"
    );
}

#[test]
fn memory_stays_below_its_limit_or_writes_are_refused() {
    let dir = scratch();
    let server = Server::ours(
        dir.path(),
        &["--save", "", "--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru"],
    );
    let mut client = server.client();
    for number in 0..60_000 {
        client.send(&["SET", &format!("key:{number}"), &"v".repeat(200)]);
        assert_eq!(client.reply(), b"+OK\r\n");
    }
    let info = client.ask("INFO");
    let field = |name: &str| -> u64 {
        let line = info.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').trim().parse().unwrap()
    };
    assert!(field("used_memory:") <= (8 << 20) * 101 / 100, "{}", field("used_memory:"));
    assert!(field("evicted_keys") > 1000);
    client.ask("CONFIG SET maxmemory-policy noeviction");
    client.ask("CONFIG SET maxmemory 1mb");
    assert_eq!(
        client.ask("SET a b"),
        "-OOM command not allowed when used memory > 'maxmemory'.\r\n"
    );
    assert_eq!(client.ask("DEL a"), ":0\r\n");
}

#[test]
fn expired_keys_go_by_themselves() {
    let dir = scratch();
    let server = Server::ours(dir.path(), &["--save", ""]);
    let mut client = server.client();
    for number in 0..1000 {
        client.send(&["SET", &format!("k{number}"), "v", "PX", "50"]);
        client.reply();
    }
    client.ask("SET stays v");
    box_harness::wait_until("them to expire", 10, || server.client().ask("DBSIZE") == ":1\r\n");
}

#[test]
fn a_bad_directive_and_a_taken_port_are_named() {
    bx().run(["cache-server", "--nope", "1"])
        .fails(1)
        .stderr_has("*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***")
        .stderr_has(">>> 'nope 1'");
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    bx().run(["cache-server", "--port", &port]).fails(1).stdout_has("already in use");
}

#[test]
fn a_configuration_file_is_read_and_rewritten() {
    let dir = scratch();
    let path = dir.path().join("redis.conf");
    std::fs::write(&path, "# kept\nmaxmemory 1mb\nsave 900 1\nrequirepass secret\n").unwrap();
    let port = free_port().to_string();
    let mut child = bx()
        .command([path.to_str().unwrap(), "--port", &port, "--save", ""].iter().copied().fold(
            vec!["cache-server"],
            |mut args, arg| {
                args.push(arg);
                args
            },
        ))
        .current_dir(dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let port: u16 = port.parse().unwrap();
    box_harness::wait_until("it to listen", 10, || {
        std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).is_ok()
    });
    let mut client = Client::connect(port);
    assert_eq!(client.ask("GET k"), "-NOAUTH Authentication required.\r\n");
    assert!(client.ask("AUTH wrong").starts_with("-WRONGPASS"));
    assert_eq!(client.ask("AUTH secret"), "+OK\r\n");
    assert_eq!(client.ask("CONFIG GET maxmemory"), "*2\r\n$9\r\nmaxmemory\r\n$7\r\n1048576\r\n");
    client.ask("CONFIG SET maxmemory 2mb");
    assert_eq!(client.ask("CONFIG REWRITE"), "+OK\r\n");
    client.send(&["SHUTDOWN", "NOSAVE"]);
    assert!(child.wait().unwrap().success());
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.starts_with("# kept\nmaxmemory 2097152\nsave \"\"\nrequirepass secret\n"),
        "{text}"
    );
}

#[test]
fn tls_clients_are_served() {
    let (Some(openssl), Some(cli)) = (oracle("openssl"), oracle("redis-cli")) else { return };
    let dir = scratch();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let made = std::process::Command::new(openssl)
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args([
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .args(["-keyout", &key, "-out", &cert])
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let port = free_port().to_string();
    let args = ["--tls-port", &port, "--tls-cert-file", &cert, "--tls-key-file", &key];
    let args = [&args[..], &["--tls-auth-clients", "no", "--save", ""]].concat();
    let server = Server::ours(dir.path(), &args);
    let ask = |words: &[&str]| {
        let output = std::process::Command::new(&cli)
            .args(["-p", &port, "--tls", "--cacert", &cert])
            .args(words)
            .output()
            .expect("redis-cli runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(ask(&["PING"]), "PONG\n");
    let big = "x".repeat(1_000_000);
    let mut plain = server.client();
    plain.call(&["SET", "big", &big]);
    assert_eq!(ask(&["GET", "big"]).trim_end(), big);
    assert_eq!(ask(&["SET", "k", &"y".repeat(100_000)]), "OK\n");
    assert_eq!(plain.ask("STRLEN k"), ":100000\r\n");
}

#[test]
fn changes_may_depend_on_the_value_that_is_there() {
    let dir = scratch();
    let server = Server::ours(dir.path(), &["--save", ""]);
    let mut client = server.client();
    for (words, reply) in [
        ("SET k a IFEQ a", "$-1\r\n"),
        ("SET k a IFNE b", "+OK\r\n"),
        ("SET k b IFEQ x", "$-1\r\n"),
        ("SET k b IFEQ a GET", "$1\r\na\r\n"),
        ("SET k b IFEQ a NX", "-ERR syntax error\r\n"),
        ("DELIFEQ k x", ":0\r\n"),
        ("DELEX k IFNE b", ":0\r\n"),
        ("DELEX k IFEQ b", ":1\r\n"),
        ("DELEX k", ":0\r\n"),
        ("MSETEX 2 a{t} 1 b{t} 2 EX 100 NX", ":1\r\n"),
        ("MSETEX 2 c{t} 1 b{t} 3 NX", ":0\r\n"),
        ("EXISTS c{t}", ":0\r\n"),
        ("MSETEX 1 b{t} 3 XX KEEPTTL", ":1\r\n"),
        ("TTL b{t}", ":100\r\n"),
        ("DELIFEQ a{t} 1", ":1\r\n"),
        ("LPUSH l x", ":1\r\n"),
        ("DELEX l IFEQ x", "-ERR Key should be of string type if conditions are specified\r\n"),
    ] {
        assert_eq!(client.ask(words), reply, "{words}");
    }
}

#[test]
fn debians_configuration_file_is_read_as_it_is() {
    let file = std::path::Path::new("/etc/redis/redis.conf");
    if box_harness::oracle("redis-server").is_none() || !file.exists() {
        return;
    }
    let dir = scratch();
    let path = dir.path().to_str().expect("a path");
    let port = box_harness::free_port().to_string();
    let socket = dir.path().join("socket");
    let mut command = std::process::Command::new(crate::support::bx().path());
    command.args(["cache-server", "/etc/redis/redis.conf", "--port", &port, "--dir", path]);
    command.args(["--daemonize", "no", "--logfile", "", "--pidfile", ""]);
    command.arg("--unixsocket").arg(&socket).stdout(std::process::Stdio::null());
    let mut child = command.spawn().expect("a server");
    box_harness::wait_until("the socket to answer", 20, || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    });
    let mut client = crate::support::Client::connect(port.parse().expect("a number"));
    assert!(client.ask("CONFIG GET maxmemory-policy").contains("noeviction"));
    let _ = child.kill();
    let _ = child.wait();
}
