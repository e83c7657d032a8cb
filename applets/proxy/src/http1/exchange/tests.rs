//! Bodies that stop, in time that is played: the clock of the runtime jumps to its next timer.

use std::path::Path;
use std::rc::Rc;

use box_wire::http1::RequestHead;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::super::{Role, Route, Site, Target, TargetKind, Visitor, serve};
use super::*;
use crate::io::{Buffer, Stream};

struct Everything(Forward);

impl Site for Everything {
    fn route(&self, _: &RequestHead<'_>, _: &Visitor) -> Route {
        Route::Forward(self.0.clone())
    }

    fn finished(&self, _: &Record) {}
}

/// What a client gets that sends `request` and then nothing, from an origin that answers `answer`
/// and then nothing.
fn answer_to(request: &'static [u8], answer: &'static [u8]) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let folder = tempfile::tempdir().expect("a scratch folder");
    tokio::task::LocalSet::new().block_on(&runtime, exchange(folder.path(), request, answer))
}

async fn exchange(folder: &Path, request: &[u8], answer: &'static [u8]) -> String {
    let path = folder.join("origin");
    let listener = UnixListener::bind(&path).expect("bound");
    tokio::task::spawn_local(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream.write_all(answer).await.expect("sent");
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let target = Target::new(TargetKind::Unix(path), "origin".to_owned(), None);
    let forward = Forward::to(Rc::new(target), Rc::default());
    let (mut client, ours) = UnixStream::pair().expect("a pair");
    let visitor = Visitor::nobody();
    let conn = Conn::new(Stream::Unix(ours), Buffer::default());
    tokio::task::spawn_local(serve(conn, visitor, Rc::new(Everything(forward)), Role::Edge));
    client.write_all(request).await.expect("sent");
    let mut got = Vec::new();
    let _ = client.read_to_end(&mut got).await;
    String::from_utf8_lossy(&got).into_owned()
}

#[test]
fn a_client_that_stops_in_its_body_gets_408() {
    let got = answer_to(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nhalf", b"");
    assert!(got.starts_with("HTTP/1.1 408 ") && got.contains("ERR_BOX_304"), "{got}");
}

#[test]
fn an_origin_that_never_answers_gives_504() {
    let got = answer_to(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n", b"");
    assert!(got.starts_with("HTTP/1.1 504 ") && got.contains("ERR_BOX_208"), "{got}");
}

#[test]
fn an_origin_that_stops_in_its_answer_cuts_it() {
    let got = answer_to(
        b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    );
    assert!(got.starts_with("HTTP/1.1 200 ") && got.ends_with("\r\n\r\nhalf"), "{got}");
}
