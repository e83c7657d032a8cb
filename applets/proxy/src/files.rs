//! A folder as an HTTP service: what `box proxy file` puts behind its tunnel.
//!
//! It is an upstream like any other, reached over a socket pair, so that everything in front of it
//! (policies, inspector, edits of fields) is the same code. Paths are opened beneath the folder's
//! descriptor by openat2(2): neither `..` nor a link leads out of it.

use std::ffi::CString;
use std::fs::{File, Metadata};
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use box_kit::Failure;
use box_sys::at::{self, Resolve};
use box_wire::http1::{HeadParser, Progress, RequestHead};
use tokio::net::UnixStream;

use crate::clock;
use crate::http1::{Answer, Failed, Upstream, Visitor, escape, phrase};
use crate::io::{Buffer, Conn, Stream};

/// One read of a file.
const PIECE_BYTES: usize = 64 * 1024;
/// Names in a listing.
const MAX_LISTED: usize = 10_000;

/// A folder that is served.
pub struct Folder {
    root: File,
    browse: bool,
}

impl Folder {
    /// Opens it; with `browse`, folders without an `index.html` list what is in them.
    ///
    /// # Errors
    /// It is no folder, or may not be read.
    pub fn open(path: &Path, browse: bool) -> Result<Folder, Failure> {
        let root = File::open(path).map_err(Failure::os(path.display()))?;
        let is_folder = root.metadata().map_err(Failure::os(path.display()))?.is_dir();
        if !is_folder {
            return Err(Failure::new("Not a directory").about(path.display()));
        }
        Ok(Folder { root, browse })
    }

    fn file(&self, path: &str) -> io::Result<File> {
        let path = if path.is_empty() { "." } else { path };
        let path = CString::new(path).map_err(|_| io::Error::from(io::ErrorKind::NotFound))?;
        // A FIFO without a writer must not hold the thread up.
        let flags = libc::O_RDONLY | libc::O_NONBLOCK;
        at::open(self.root.as_fd(), &path, flags, 0, Resolve::BENEATH).map(File::from)
    }

    /// What a request gets.
    fn answer(&self, head: &RequestHead<'_>) -> Reply {
        if !matches!(head.method, b"GET" | b"HEAD") {
            return Reply::Page(failure(405, "only GET and HEAD").field("Allow", "GET, HEAD"));
        }
        let (_, target) = head.origin_target();
        let target = std::str::from_utf8(target).unwrap_or_default();
        let raw = target.split('?').next().unwrap_or_default();
        let Some(path) = relative(raw) else {
            return Reply::Page(failure(404, "there is no such file"));
        };
        match self.find(&path, raw) {
            Ok(reply) => match reply {
                Found::File(file, metadata, name) => select(head, file, &metadata, &name),
                Found::Page(answer) => Reply::Page(answer),
            },
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Reply::Page(failure(403, "the file may not be read"))
            }
            Err(_) => Reply::Page(failure(404, "there is no such file")),
        }
    }

    fn find(&self, path: &str, raw: &str) -> io::Result<Found> {
        let file = self.file(path)?;
        let metadata = file.metadata()?;
        if metadata.is_file() {
            return Ok(Found::File(file, metadata, path.to_owned()));
        }
        if !metadata.is_dir() {
            return Err(io::ErrorKind::NotFound.into());
        }
        if !raw.ends_with('/') {
            // One slash in front: two would name another host.
            let to = format!("/{}/", raw.trim_start_matches('/'));
            return Ok(Found::Page(Answer::text(301, "").field("Location", &to)));
        }
        let index =
            if path.is_empty() { "index.html".to_owned() } else { format!("{path}/index.html") };
        match self.file(&index) {
            Ok(file) => {
                let metadata = file.metadata()?;
                Ok(Found::File(file, metadata, index))
            }
            Err(_) if self.browse => listing(&file, path).map(Found::Page),
            Err(error) => Err(error),
        }
    }
}

enum Found {
    File(File, Metadata, String),
    Page(Answer),
}

enum Reply {
    Page(Answer),
    /// A head, and the part of a file that follows it.
    Part(String, File, u64, u64),
}

fn failure(status: u16, reason: &str) -> Answer {
    Answer::error(status, 500, reason, "", false)
}

/// A path below the folder: decoded, without empty and `.` parts. `None` where it would leave it.
fn relative(raw: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in raw.split('/') {
        let part = decoded(part)?;
        match part.as_str() {
            "" | "." => {}
            ".." => return None,
            part if part.contains(['/', '\0']) => return None,
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// RFC 3986 section 2.1.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        out.push((high * 16 + low) as u8);
    }
    String::from_utf8(out).ok()
}

/// The whole file, a part of it, or word that it has not changed (RFC 9110 sections 13 and 14).
fn select(head: &RequestHead<'_>, file: File, metadata: &Metadata, name: &str) -> Reply {
    let age =
        metadata.modified().unwrap_or(UNIX_EPOCH).duration_since(UNIX_EPOCH).unwrap_or_default();
    let (size, modified) = (metadata.len(), clock::http_date(age.as_secs()));
    let tag = format!("\"{:x}-{size:x}\"", age.as_nanos());
    let common = format!(
        "ETag: {tag}\r\nLast-Modified: {modified}\r\nAccept-Ranges: bytes\r\nDate: {}\r\n",
        clock::http_date(
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
        )
    );
    let field = |name| head.fields.named(name).map(String::from_utf8_lossy);
    let unchanged = match field("if-none-match") {
        Some(tags) => {
            tags.split(',').any(|t| t.trim().trim_start_matches("W/") == tag || t.trim() == "*")
        }
        None => field("if-modified-since").is_some_and(|since| since == modified),
    };
    if unchanged {
        return Reply::Part(format!("HTTP/1.1 304 Not Modified\r\n{common}\r\n"), file, 0, 0);
    }
    let kind = media_type(name);
    let current = field("if-range").is_none_or(|range| range == tag || range == modified);
    let range = field("range").filter(|_| current).and_then(|range| byte_range(&range, size));
    match range {
        Some(None) => {
            let fields = format!("Content-Range: bytes */{size}\r\nContent-Length: 0\r\n");
            Reply::Part(format!("HTTP/1.1 416 {}\r\n{fields}{common}\r\n", phrase(416)), file, 0, 0)
        }
        Some(Some((first, last))) => {
            let length = last - first + 1;
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
                 Content-Range: bytes {first}-{last}/{size}\r\n{common}\r\n"
            );
            Reply::Part(head, file, first, length)
        }
        None => {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n{common}\r\n"
            );
            Reply::Part(head, file, 0, size)
        }
    }
}

/// One range of bytes. `None`: to be ignored (malformed, or several); `Some(None)`: outside.
#[allow(clippy::option_option)]
fn byte_range(text: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return None;
    }
    let range = match (first, last) {
        ("", "") => return None,
        ("", suffix) => {
            let suffix: u64 = suffix.parse().ok()?;
            (size.saturating_sub(suffix), size.checked_sub(1).filter(|_| suffix > 0))
        }
        (first, "") => (first.parse().ok()?, size.checked_sub(1)),
        (first, last) => {
            let last: u64 = last.parse().ok()?;
            (first.parse().ok()?, size.checked_sub(1).map(|end| end.min(last)))
        }
    };
    match range {
        (first, Some(last)) if first <= last => Some(Some((first, last))),
        _ => Some(None),
    }
}

fn listing(folder: &File, path: &str) -> io::Result<Answer> {
    let mut names = Vec::new();
    for entry in
        std::fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd()))?.take(MAX_LISTED)
    {
        let entry = entry?;
        let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
        names.push(format!("{}{slash}", entry.file_name().to_string_lossy()));
    }
    names.sort_unstable();
    let title = escape(&format!("/{path}"));
    let mut page = format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<h1>{title}</h1>\n<ul>\n"
    );
    if !path.is_empty() {
        page.push_str("<li><a href=\"../\">../</a>\n");
    }
    for name in names {
        page.push_str(&format!("<li><a href=\"./{}\">{}</a>\n", encoded(&name), escape(&name)));
    }
    page.push_str("</ul>\n");
    let mut answer = Answer::text(200, page);
    answer.media_type = "text/html; charset=utf-8";
    Ok(answer)
}

/// A name for a URL: everything but unreserved characters in percents.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn media_type(name: &str) -> &'static str {
    let extension = Path::new(name).extension().and_then(|e| e.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "txt" | "md" | "log" => "text/plain; charset=utf-8",
        "xml" => "application/xml",
        "csv" => "text/csv; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
}

/// The upstream that a folder is.
pub struct FolderUpstream(pub Rc<Folder>);

impl Upstream for FolderUpstream {
    fn open<'a>(
        &'a self,
        _: &'a Visitor,
        _: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Conn, Failed>> + 'a>> {
        Box::pin(async {
            let (ours, theirs) = UnixStream::pair().map_err(|error| Failed {
                status: 503,
                code: 205,
                reason: box_kit::exit::kernel_words(&error).to_lowercase(),
                advice: String::new(),
            })?;
            let folder = self.0.clone();
            tokio::task::spawn_local(async move {
                let mut conn = Conn::new(Stream::Unix(theirs), Buffer::default());
                // A visitor that leaves ends this with an error: nobody is left to be told.
                let _ = respond(&mut conn, &folder).await;
            });
            Ok(Conn::new(Stream::Unix(ours), Buffer::default()))
        })
    }
}

/// Serves the one request of a connection.
async fn respond(conn: &mut Conn, folder: &Folder) -> io::Result<()> {
    let mut parser = HeadParser::default();
    let length = loop {
        if conn.fill().await? == 0 {
            return Ok(());
        }
        match parser.advance(conn.input.data()) {
            Ok(Progress::Complete(length)) => break length,
            Ok(Progress::Partial) => {}
            Err(reject) => return Err(io::Error::other(reject.reason())),
        }
    };
    let (reply, to_head) = {
        let raw = &conn.input.data()[..length];
        let head = parser.request(raw).map_err(|reject| io::Error::other(reject.reason()))?;
        (folder.answer(&head), head.method == b"HEAD")
    };
    match reply {
        Reply::Page(answer) => answer.write(&mut conn.output, to_head, true),
        Reply::Part(head, file, mut at, mut left) => {
            conn.output.extend_from_slice(head.as_bytes());
            left = if to_head { 0 } else { left };
            let mut piece = vec![0; PIECE_BYTES.min(left as usize)];
            while left > 0 {
                let wanted = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let count = file.read_at(&mut piece[..wanted], at)?;
                if count == 0 {
                    // It has become shorter: the answer must not look whole.
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                send(conn, &piece[..count]).await?;
                at += count as u64;
                left -= count as u64;
            }
        }
    }
    conn.finish().await
}

async fn send(conn: &mut Conn, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = std::future::poll_fn(|cx| conn.poll_send(cx, bytes)).await?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_folder() {
        assert_eq!(relative("/a/b.txt").as_deref(), Some("a/b.txt"));
        assert_eq!(relative("/a//./b%20c").as_deref(), Some("a/b c"));
        assert_eq!(relative("/").as_deref(), Some(""));
        for bad in ["/..", "/a/../../b", "/%2e%2e/x", "/a%2fb", "/a%00", "/%zz", "/%f"] {
            assert_eq!(relative(bad), None, "{bad}");
        }
    }

    #[test]
    fn ranges_are_one_part_or_none() {
        assert_eq!(byte_range("bytes=0-3", 10), Some(Some((0, 3))));
        assert_eq!(byte_range("bytes=4-", 10), Some(Some((4, 9))));
        assert_eq!(byte_range("bytes=-3", 10), Some(Some((7, 9))));
        assert_eq!(byte_range("bytes=0-99", 10), Some(Some((0, 9))));
        assert_eq!(byte_range("bytes=-99", 10), Some(Some((0, 9))));
        assert_eq!(byte_range("bytes=10-", 10), Some(None));
        assert_eq!(byte_range("bytes=-0", 10), Some(None));
        assert_eq!(byte_range("bytes=0-", 0), Some(None));
        assert_eq!(byte_range("bytes=0-1,3-4", 10), None);
        assert_eq!(byte_range("lines=0-1", 10), None);
    }
}
