//! What agent and edge say to each other beside streams: the greeting and the control messages,
//! JSON in frames of stream 0. Unknown members are ignored, so that either side may be newer.

use bytes::{Buf, BytesMut};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::io::Stream;
use crate::mux::frame::{self, Kind};

/// The version spoken here.
pub const VERSION: u32 = 1;
/// The application protocol of the TLS handshake.
pub const ALPN: &[u8] = b"box/1";

/// The agent's first words.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The newest version the agent speaks.
    pub version: u32,
    /// Who may open tunnels.
    pub token: String,
    /// The same after a restart at the same place: such an agent may take its names back at once.
    pub instance: String,
    /// The session to join with a further lane.
    #[serde(default)]
    pub session: Option<String>,
}

/// The edge takes the agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Welcome {
    /// The version to be spoken.
    pub version: u32,
    /// Secret name of the session, for further lanes.
    pub session: String,
    /// Whose token it is.
    pub user: String,
    /// The domain of the edge.
    pub domain: String,
}

/// The edge does not take the agent, or a tunnel of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// The number in `ERR_BOX_nnn`.
    pub code: u16,
    /// Why, for people.
    pub text: String,
}

/// The kind of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TunnelKind {
    /// Requests by host name; encrypted by the edge.
    Http,
    /// A port of the edge.
    Tcp,
    /// Connections by server name, encrypted by the service itself.
    Tls,
}

/// A tunnel that the agent wants.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bind {
    /// The agent's number for it.
    pub tunnel: u32,
    /// Its kind.
    pub kind: TunnelKind,
    /// The first label of its host name.
    pub name: String,
    /// A whole host name of the user's own instead.
    #[serde(default)]
    pub domain: Option<String>,
    /// The port of a `tcp` tunnel; 0: any.
    #[serde(default)]
    pub remote_port: u16,
}

/// Control messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// The agent wants a tunnel.
    Bind(Bind),
    /// It stands.
    Bound {
        /// The agent's number for it.
        tunnel: u32,
        /// Where it is reached, the preferred one first.
        urls: Vec<String>,
    },
    /// It does not.
    Refused {
        /// The agent's number for it.
        tunnel: u32,
        /// Why.
        refusal: Refusal,
    },
}

/// Writes a frame of stream 0 with a JSON payload.
///
/// # Errors
/// Those of the stream.
pub async fn write<T: Serialize>(io: &mut Stream, kind: Kind, value: &T) -> std::io::Result<()> {
    let payload = serde_json::to_vec(value)?;
    let mut out = Vec::with_capacity(payload.len() + frame::HEADER_BYTES);
    frame::write_header(&mut out, kind, 0, payload.len(), 0);
    out.extend_from_slice(&payload);
    io.write_all(&out).await?;
    io.flush().await
}

/// Reads one frame of the greeting. What is read beyond it stays in `read`.
///
/// # Errors
/// The stream ends or fails, or what comes is no frame.
pub async fn read(io: &mut Stream, read: &mut BytesMut) -> std::io::Result<(Kind, BytesMut)> {
    loop {
        let header = frame::header(read).map_err(|bad| std::io::Error::other(bad.0))?;
        if let Some(header) = header
            && read.len() >= frame::HEADER_BYTES + header.length
        {
            read.advance(frame::HEADER_BYTES);
            let payload = read.split_to(header.length);
            match header.kind {
                Some(kind) => return Ok((kind, payload)),
                None => continue,
            }
        }
        if io.read_buf(read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Reads a JSON payload.
///
/// # Errors
/// It is not what was expected.
pub fn json<T: DeserializeOwned>(payload: &[u8]) -> std::io::Result<T> {
    serde_json::from_slice(payload).map_err(std::io::Error::other)
}
