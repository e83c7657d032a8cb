//! Answers of our own: errors and short pages, as HTML or JSON.

use super::Failed;

/// An answer that does not come from an upstream.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Further field lines, each with its CRLF.
    pub fields: String,
    /// The media type.
    pub media_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// What the log says.
    pub note: Option<String>,
    /// The connection is closed afterwards.
    pub close: bool,
}

impl Answer {
    /// An error page: a title line, why, and what to do; JSON for those who ask for it.
    pub fn error(status: u16, code: u16, reason: &str, advice: &str, json: bool) -> Answer {
        let phrase = phrase(status);
        let error_code = format!("ERR_BOX_{code}");
        let (media_type, body) = if json {
            let value = serde_json::json!({
                "status": status, "error_code": error_code, "msg": reason, "advice": advice,
            });
            ("application/json", format!("{value}\n"))
        } else {
            let (reason, advice) = (escape(reason), escape(advice));
            let page = format!(
                "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
                 <meta name=\"viewport\" content=\"width=device-width\">\n\
                 <title>{status} {phrase}</title>\n\
                 <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:15vh auto;\
                 padding:0 1em;color:#222}}h1{{font-size:1.3em}}code{{color:#777}}\
                 @media(prefers-color-scheme:dark){{body{{background:#151515;color:#ddd}}}}</style>\n\
                 <h1>{status} {phrase}</h1>\n<p>{reason}</p>\n<p>{advice}</p>\n\
                 <p><code>box proxy &middot; {error_code}</code></p>\n</html>\n"
            );
            ("text/html; charset=utf-8", page)
        };
        Answer {
            status,
            fields: format!("X-Box-Error: {error_code}\r\n"),
            media_type,
            body: body.into_bytes(),
            note: Some(reason.to_owned()),
            close: false,
        }
    }

    /// The page for an upstream that failed.
    pub fn failed(failed: &Failed, json: bool) -> Answer {
        Answer::error(failed.status, failed.code, &failed.reason, &failed.advice, json)
    }

    /// A short answer in plain text.
    pub fn text(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Answer {
            status,
            fields: String::new(),
            media_type: "text/plain; charset=utf-8",
            body: body.into(),
            note: None,
            close: false,
        }
    }

    /// Adds a field line.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Answer {
        self.fields.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// Closes the connection after it.
    #[must_use]
    pub fn closing(mut self) -> Answer {
        self.close = true;
        self
    }

    /// Writes head and body; no body for HEAD.
    pub(super) fn write(&self, out: &mut Vec<u8>, to_head: bool, close: bool) {
        let connection = if close { "Connection: close\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}{connection}\r\n",
            self.status,
            phrase(self.status),
            self.media_type,
            self.body.len(),
            self.fields,
        );
        out.extend_from_slice(head.as_bytes());
        if !to_head {
            out.extend_from_slice(&self.body);
        }
    }
}

/// Text for HTML: what a visitor put into a URL must stay text.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The reason phrase of the statuses that box itself answers with.
pub fn phrase(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        416 => "Range Not Satisfiable",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}
