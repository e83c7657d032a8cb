//! HTTP/1.0 and HTTP/1.1 message heads and chunked bodies (RFC 9110, RFC 9112), strict.
//!
//! A proxy that reads a message differently from the server behind it lets one visitor speak in
//! another's name (request smuggling). So nothing is repaired here: a line that does not end in
//! CRLF, whitespace before a colon, a folded line, two lengths, a transfer coding that is not
//! exactly `chunked` each refuse the message. What is left has one [`Framing`], computed once, and
//! that value alone says where the message ends and how it is forwarded.
//!
//! Heads are parsed in place: a [`HeadParser`] keeps offsets into the caller's buffer, resumes
//! where the last bytes ended, and is reused from message to message without allocating.

mod chunked;
mod grammar;
mod head;

pub use chunked::{ChunkDecoder, ChunkStep, chunk_head};
pub use grammar::{authority, is_field_value, is_target, is_token, list_items};
pub use head::{
    Field, FieldName, Fields, HeadParser, Limits, Progress, RequestHead, ResponseHead, Target,
    Version,
};

/// Where a message ends. The only source of what is read and what is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body, whatever the fields say.
    None,
    /// Exactly this many bytes.
    Length(u64),
    /// Chunks up to the one of size zero, then trailer fields.
    Chunked,
    /// Up to the end of the connection (responses only).
    Close,
}

impl Framing {
    /// Whether no byte of a body follows.
    pub fn is_empty(self) -> bool {
        matches!(self, Framing::None | Framing::Length(0))
    }
}

/// Why a message is refused. The connection is closed after it: where the next message would
/// start cannot be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// A line feed without a carriage return, or the other way round.
    BareLineEnd,
    /// The method is not a token.
    Method,
    /// The target is empty, holds a byte that no URI has, or does not fit the method.
    RequestTarget,
    /// The target is longer than [`Limits::target_bytes`].
    TargetTooLong,
    /// The version is not HTTP/1.0 or HTTP/1.1.
    Version,
    /// The start line has not its three parts.
    StartLine,
    /// The status is not three digits from 100 to 599.
    Status,
    /// A field name is empty or not a token; whitespace before the colon included.
    FieldName,
    /// A field value holds a control byte.
    FieldValue,
    /// A line that continues the field before it (obsolete line folding).
    FoldedLine,
    /// More fields than [`Limits::fields`].
    TooManyFields,
    /// More bytes than [`Limits::head_bytes`].
    HeadTooLarge,
    /// No Host in an HTTP/1.1 request, or two, or one that is no host.
    Host,
    /// A Content-Length that is not a number, or two of them.
    ContentLength,
    /// Content-Length and Transfer-Encoding in one message.
    TwoFramings,
    /// A Transfer-Encoding that is not `chunked` alone, or in HTTP/1.0.
    TransferEncoding,
    /// A chunk-size line that is not hexadecimal digits and an optional extension.
    ChunkSize,
    /// A chunk that does not end in CRLF.
    ChunkEnd,
    /// An Upgrade that comes with a body.
    UpgradeWithBody,
}

impl Reject {
    /// The status a server answers with.
    pub fn status(self) -> u16 {
        match self {
            Reject::TargetTooLong => 414,
            Reject::TooManyFields | Reject::HeadTooLarge => 431,
            Reject::Version => 505,
            Reject::TransferEncoding => 501,
            _ => 400,
        }
    }

    /// The reason in words, for logs and error pages.
    pub fn reason(self) -> &'static str {
        match self {
            Reject::BareLineEnd => "a line does not end in CRLF",
            Reject::Method => "the method is not a token",
            Reject::RequestTarget => "the request target is not valid",
            Reject::TargetTooLong => "the request target is too long",
            Reject::Version => "the version is not HTTP/1.0 or HTTP/1.1",
            Reject::StartLine => "the start line is malformed",
            Reject::Status => "the status is not valid",
            Reject::FieldName => "a field name is not a token",
            Reject::FieldValue => "a field value holds a control byte",
            Reject::FoldedLine => "a field is folded over two lines",
            Reject::TooManyFields => "there are too many fields",
            Reject::HeadTooLarge => "the head is too large",
            Reject::Host => "Host is missing, doubled or malformed",
            Reject::ContentLength => "Content-Length is malformed or doubled",
            Reject::TwoFramings => "both Content-Length and Transfer-Encoding",
            Reject::TransferEncoding => "Transfer-Encoding is not exactly chunked",
            Reject::ChunkSize => "a chunk size is malformed",
            Reject::ChunkEnd => "a chunk does not end in CRLF",
            Reject::UpgradeWithBody => "Upgrade together with a body",
        }
    }
}

#[cfg(test)]
mod tests;
