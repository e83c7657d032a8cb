//! The resolver against a name server of our own on the loopback.

use super::*;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const RESPONSE: u16 = dns::Header::RESPONSE;

/// What the server does with a question of this name.
fn answer(query: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
    let (_, header) = dns::header(query).unwrap();
    let (question, end) = dns::question(query, dns::HEADER_BYTES).unwrap();
    let mut out = Vec::new();
    let mut head = dns::Header { id: header.id, flags: RESPONSE, questions: 1, ..header };
    let asked = &query[dns::HEADER_BYTES..end];
    let name = question.name.to_dotted().unwrap();
    let records: Vec<Vec<u8>> = match (name.as_str(), question.kind) {
        ("silent.test", _) => return None,
        ("big.test", _) if !over_tcp => {
            head.flags |= dns::Header::TRUNCATED;
            vec![]
        }
        ("plain.test" | "big.test" | "short.search.test", kind::A) => {
            vec![vec![0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1]]
        }
        ("plain.test", kind::AAAA) => {
            let mut record = vec![0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 9, 0, 16];
            record.extend_from_slice(&Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets());
            vec![record]
        }
        ("alias.test", kind::A) => {
            let mut alias = vec![0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 8];
            alias.extend_from_slice(&[5, b'o', b't', b'h', b'e', b'r', 0xc0, 18]);
            let target = (dns::HEADER_BYTES + asked.len() + 12) as u8;
            let address = vec![0xc0, target, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 7];
            vec![alias, address]
        }
        ("plain.test" | "big.test" | "short.search.test" | "alias.test", _) => vec![],
        ("broken.test", _) => {
            head.flags |= 2;
            vec![]
        }
        _ => {
            head.flags |= 3;
            vec![]
        }
    };
    head.answers = records.len() as u16;
    dns::encode_header(&mut out, &head);
    out.extend_from_slice(asked);
    out.extend(records.concat());
    Some(out)
}

struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

fn server() -> Server {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = udp.local_addr().unwrap();
    let tcp = TcpListener::bind(address).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, peer)) = udp.recv_from(&mut query) {
            count.fetch_add(1, Ordering::Relaxed);
            // A forged answer with another id comes first and must be passed over.
            let mut forged = query[..length].to_vec();
            forged[0] ^= 0xff;
            forged[2] |= 0x80;
            udp.send_to(&forged, peer).unwrap();
            if let Some(answer) = answer(&query[..length], false) {
                udp.send_to(&answer, peer).unwrap();
            }
        }
    });
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            let mut stream = stream.unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut query).unwrap();
            let answer = answer(&query, true).unwrap();
            stream.write_all(&(answer.len() as u16).to_be_bytes()).unwrap();
            stream.write_all(&answer).unwrap();
        }
    });
    Server { address, asked }
}

fn resolver(server: &Server) -> Resolver {
    Resolver {
        hosts: PathBuf::from("/nonexistent"),
        servers: vec![server.address],
        search: vec!["search.test".into()],
        ndots: 1,
        timeout: Duration::from_secs(5),
        attempts: 2,
    }
}

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

#[test]
fn both_families_are_answered() {
    let found = resolver(&server()).host("plain.test").unwrap();
    assert_eq!(found, [v4(1), "2001:db8::1".parse().unwrap()]);
}

#[test]
fn an_alias_is_followed() {
    assert_eq!(resolver(&server()).host("alias.test").unwrap(), [v4(7)]);
}

#[test]
fn a_truncated_answer_is_asked_again_over_tcp() {
    assert_eq!(resolver(&server()).host("big.test").unwrap(), [v4(1)]);
}

#[test]
fn a_short_name_is_tried_with_the_search_domains() {
    assert_eq!(resolver(&server()).host("short").unwrap(), [v4(1)]);
}

#[test]
fn an_unknown_name_says_so_and_a_silent_server_is_asked_as_often_as_allowed() {
    let server = server();
    let unknown = resolver(&server).host("nope.test").unwrap_err();
    assert_eq!(unknown.to_string(), "Name or service not known");
    let before = server.asked.load(Ordering::Relaxed);
    let mut patient = resolver(&server);
    patient.search.clear();
    patient.timeout = Duration::from_millis(100);
    let silent = patient.host("silent.test").unwrap_err();
    assert_eq!(silent.to_string(), "Temporary failure in name resolution");
    assert_eq!(server.asked.load(Ordering::Relaxed) - before, 2 * 2);
}

#[test]
fn the_next_server_is_asked_when_one_fails() {
    let good = server();
    let mut both = resolver(&good);
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    both.servers.insert(0, closed);
    assert_eq!(both.host("plain.test").unwrap()[0], v4(1));
    both.search.clear();
    let broken = both.host("broken.test").unwrap_err();
    assert_eq!(broken.to_string(), "Temporary failure in name resolution");
}

#[test]
fn the_hosts_file_comes_first_and_localhost_never_leaves() {
    let text =
        "# comment\n127.0.0.1 localhost\n::1 six both\n192.0.2.9 nine both # both\nbad line\n";
    assert_eq!(hosts_entries(text, "BOTH"), [v4(9), Ipv6Addr::LOCALHOST.into()]);
    assert!(hosts_entries(text, "comment").is_empty());
    let server = server();
    assert_eq!(resolver(&server).host("app.localhost").unwrap()[0], Ipv4Addr::LOCALHOST);
    assert_eq!(server.asked.load(Ordering::Relaxed), 0);
}

#[test]
fn resolv_conf_is_read_as_its_manual_says() {
    let resolver = Resolver::from_conf(
        "nameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver bad\nsearch a.test b.test\n\
         options ndots:2 timeout:99 attempts:1 rotate\n",
    );
    let servers: Vec<String> = resolver.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["192.0.2.53:53", "[fe80::1]:53"]);
    assert_eq!(resolver.candidates("x"), ["x.a.test", "x.b.test", "x"]);
    assert_eq!(resolver.candidates("x.y.z"), ["x.y.z", "x.y.z.a.test", "x.y.z.b.test"]);
    assert_eq!(resolver.candidates("x."), ["x"]);
    assert_eq!((resolver.timeout.as_secs(), resolver.attempts), (30, 1));
}

#[test]
fn an_address_is_its_own_answer() {
    let resolver = Resolver::from_conf("");
    assert_eq!(resolver.host("[::1]").unwrap(), [IpAddr::from(Ipv6Addr::LOCALHOST)]);
    assert_eq!(host_port("127.0.0.1:80").unwrap(), ["127.0.0.1:80".parse().unwrap()]);
    assert_eq!(host_port("127.0.0.1").unwrap_err().kind(), io::ErrorKind::InvalidInput);
}
