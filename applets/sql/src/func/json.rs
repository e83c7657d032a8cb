//! The JSON functions. `json_x()` gives text, `jsonb_x()` the same as JSONB; JSON within JSON is
//! told from text by the compiler, which has an argument that is JSON computed as JSONB (see
//! [`as_blob`]).

use super::Scalar;
use crate::error::{Error, Result};
use crate::json::{self, Change, Kind, Node, Path, Refused};
use crate::number;
use crate::value::{Owned, Value};

const MANY: usize = 1000;

const fn function(name: &'static str, args: (usize, usize), code: super::ScalarCode) -> Scalar {
    Scalar { name, min_args: args.0, max_args: args.1, code, pure: true }
}

pub(super) static FUNCTIONS: &[Scalar] = &[
    function("json", (1, 1), |_, args| minified(args, false)),
    function("jsonb", (1, 1), |_, args| minified(args, true)),
    function("json_array", (0, MANY), |_, args| array(args, false)),
    function("jsonb_array", (0, MANY), |_, args| array(args, true)),
    function("json_object", (0, MANY), |_, args| object(args, false)),
    function("jsonb_object", (0, MANY), |_, args| object(args, true)),
    function("json_extract", (1, MANY), |_, args| extract(args, false)),
    function("jsonb_extract", (1, MANY), |_, args| extract(args, true)),
    function("->", (2, 2), |_, args| arrow(args, Arrow::Json)),
    function("->>", (2, 2), |_, args| arrow(args, Arrow::Value)),
    function(ARROW_BLOB, (2, 2), |_, args| arrow(args, Arrow::Blob)),
    function("json_set", (1, MANY), |_, args| edit("json_set", args, Change::Set, false)),
    function("jsonb_set", (1, MANY), |_, args| edit("jsonb_set", args, Change::Set, true)),
    function("json_insert", (1, MANY), |_, a| edit("json_insert", a, Change::Insert, false)),
    function("jsonb_insert", (1, MANY), |_, a| edit("jsonb_insert", a, Change::Insert, true)),
    function("json_replace", (1, MANY), |_, a| edit("json_replace", a, Change::Replace, false)),
    function("jsonb_replace", (1, MANY), |_, a| edit("jsonb_replace", a, Change::Replace, true)),
    function("json_array_insert", (1, MANY), |_, args| {
        edit("json_array_insert", args, Change::ArrayInsert, false)
    }),
    function("jsonb_array_insert", (1, MANY), |_, args| {
        edit("jsonb_array_insert", args, Change::ArrayInsert, true)
    }),
    function("json_remove", (1, MANY), |_, args| remove(args, false)),
    function("jsonb_remove", (1, MANY), |_, args| remove(args, true)),
    function("json_patch", (2, 2), |_, args| patch(args, false)),
    function("jsonb_patch", (2, 2), |_, args| patch(args, true)),
    function("json_type", (1, 2), |_, args| type_of(args)),
    function("json_array_length", (1, 2), |_, args| array_length(args)),
    function("json_valid", (1, 2), |_, args| valid(args)),
    function("json_error_position", (1, 1), |_, args| error_position(args)),
    function("json_quote", (1, 1), |_, args| quote(args)),
    function("json_pretty", (1, 2), |_, args| pretty(args)),
];

/// `->` that gives JSONB: it has no name in SQL.
const ARROW_BLOB: &str = "\0->";

/// The function that gives as JSONB what `name` gives as JSON text.
pub fn as_blob(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        "->" => Some(ARROW_BLOB.into()),
        "json" | "json_array" | "json_object" | "json_extract" | "json_set" | "json_insert"
        | "json_replace" | "json_array_insert" | "json_remove" | "json_patch"
        | "json_group_array" | "json_group_object" => Some(lower.replacen("json", "jsonb", 1)),
        _ => None,
    }
}

/// Whether a function takes JSON as JSON in its arguments, and text as a string.
pub fn nests(name: &str) -> bool {
    const NAMES: [&str; 7] =
        ["array", "object", "set", "insert", "replace", "group_array", "group_object"];
    let lower = name.to_ascii_lowercase();
    let Some((family, kind)) = lower.split_once('_') else { return false };
    match family {
        "json" | "jsonb" => NAMES.contains(&kind) || matches!(kind, "array_insert" | "quote"),
        _ => false,
    }
}

fn malformed() -> Error {
    Error::new("malformed JSON")
}

fn bad_path(path: &[u8]) -> Error {
    Error::new(format!("bad JSON path: {}", quoted(path)))
}

fn quoted(text: &[u8]) -> String {
    String::from_utf8_lossy(&super::printf::sql_quote(text)).into_owned()
}

/// The JSONB of an argument that is not NULL.
fn blob_of(value: &Value<'_>) -> Result<Vec<u8>> {
    match value {
        Value::Blob(bytes) if json::is_plausible(bytes) => Ok(bytes.to_vec()),
        other => Ok(json::parse(&other.to_text()).map_err(|_| malformed())?.blob),
    }
}

fn root(blob: &[u8]) -> Result<Node> {
    Node::at(blob, 0).ok_or_else(malformed)
}

/// The result of a function: the JSONB itself, or its text.
fn result(blob: Vec<u8>, binary: bool) -> Result<Owned> {
    if binary {
        return Ok(Value::blob(blob));
    }
    let node = root(&blob)?;
    json::to_text(&blob, &node).map(Value::text).ok_or_else(malformed)
}

/// A node as an SQL value; arrays and objects as JSON.
fn node_value(blob: &[u8], node: &Node, binary: bool) -> Result<Owned> {
    match node.kind {
        Kind::Array | Kind::Object if binary => Ok(Value::blob(node.bytes(blob))),
        Kind::Array | Kind::Object => {
            json::to_text(blob, node).map(Value::text).ok_or_else(malformed)
        }
        _ => node.value(blob).ok_or_else(malformed),
    }
}

fn minified(args: &[Value<'_>], binary: bool) -> Result<Owned> {
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    result(blob_of(&args[0])?, binary)
}

/// Appends a value as JSON text.
fn append(value: &Value<'_>, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Int(v) => out.extend_from_slice(v.to_string().as_bytes()),
        Value::Real(v) => out.extend_from_slice(real(*v).as_bytes()),
        Value::Text(text) => json::append_string(text, out),
        Value::Blob(blob) => {
            if !json::is_plausible(blob) {
                return Err(Error::new("JSON cannot hold BLOB values"));
            }
            let node = root(blob)?;
            out.extend(json::to_text(blob, &node).ok_or_else(malformed)?);
        }
    }
    Ok(())
}

fn real(value: f64) -> String {
    match value {
        f64::INFINITY => "9.0e+999".into(),
        f64::NEG_INFINITY => "-9.0e+999".into(),
        value => number::real_to_text(value),
    }
}

/// JSON text that was put together, as text or JSONB.
fn finished(text: Vec<u8>, binary: bool) -> Result<Owned> {
    if !binary {
        return Ok(Value::text(text));
    }
    json::parse(&text).map(|parsed| Value::blob(parsed.blob)).map_err(|_| malformed())
}

fn array(args: &[Value<'_>], binary: bool) -> Result<Owned> {
    let mut out = vec![b'['];
    for (n, arg) in args.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        append(arg, &mut out)?;
    }
    out.push(b']');
    finished(out, binary)
}

fn object(args: &[Value<'_>], binary: bool) -> Result<Owned> {
    if args.len() % 2 == 1 {
        return Err(Error::new("json_object() requires an even number of arguments"));
    }
    let mut out = vec![b'{'];
    for (n, pair) in args.chunks(2).enumerate() {
        let [Value::Text(label), value] = pair else {
            return Err(Error::new("json_object() labels must be TEXT"));
        };
        if n > 0 {
            out.push(b',');
        }
        json::append_string(label, &mut out);
        out.push(b':');
        append(value, &mut out)?;
    }
    out.push(b'}');
    finished(out, binary)
}

/// What `json_group_array()` and `json_group_object()` gather.
#[derive(Clone, Debug)]
pub struct Gathered {
    text: Vec<u8>,
    close: u8,
    binary: bool,
}

impl Gathered {
    /// An empty array or object.
    pub fn new(object: bool, binary: bool) -> Gathered {
        let (open, close) = if object { (b'{', b'}') } else { (b'[', b']') };
        Gathered { text: vec![open], close, binary }
    }

    /// Takes a row in.
    ///
    /// # Errors
    /// A BLOB that is no JSONB.
    pub fn step(&mut self, args: &[Value<'_>]) -> Result<()> {
        let (label, value) = match args {
            [value] => (None, value),
            [label, value, ..] => match label.to_bytes() {
                Some(label) => (Some(label), value),
                None => return Ok(()),
            },
            [] => return Ok(()),
        };
        if self.text.len() > 1 {
            self.text.push(b',');
        }
        if let Some(label) = label {
            json::append_string(&label, &mut self.text);
            self.text.push(b':');
        }
        append(value, &mut self.text)
    }

    /// The whole.
    ///
    /// # Errors
    /// Never for what was gathered well.
    pub fn finish(&self) -> Result<Owned> {
        let mut text = self.text.clone();
        text.push(self.close);
        finished(text, self.binary)
    }
}

fn path_of(text: &[u8]) -> Result<Path> {
    Path::parse(text).map_err(|_| bad_path(text))
}

fn find(blob: &[u8], path: &[u8]) -> Result<Option<Node>> {
    json::look_up(blob, &path_of(path)?).map_err(|_| bad_path(path))
}

fn extract(args: &[Value<'_>], binary: bool) -> Result<Owned> {
    if args.len() < 2 || args[0].is_null() {
        return Ok(Value::Null);
    }
    let blob = blob_of(&args[0])?;
    if let [_, path] = args {
        let Some(path) = path.to_bytes() else { return Ok(Value::Null) };
        return match find(&blob, &path)? {
            Some(node) => node_value(&blob, &node, binary),
            None => Ok(Value::Null),
        };
    }
    let mut inner = Vec::new();
    for path in &args[1..] {
        let Some(path) = path.to_bytes() else { return Ok(Value::Null) };
        match find(&blob, &path)? {
            Some(node) => inner.extend_from_slice(node.bytes(&blob)),
            None => json::push_node(&mut inner, Kind::Null, b""),
        }
    }
    let mut out = Vec::new();
    json::push_node(&mut out, Kind::Array, &inner);
    result(out, binary)
}

#[derive(Clone, Copy, PartialEq)]
enum Arrow {
    Json,
    Blob,
    Value,
}

fn arrow(args: &[Value<'_>], what: Arrow) -> Result<Owned> {
    if args.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    let blob = blob_of(&args[0])?;
    let given = args[1].to_text();
    let path = short_path(&args[1], &given);
    let found = path.as_ref().map_err(|_| ()).and_then(|p| json::look_up(&blob, p).map_err(|_| ()));
    let Some(node) = found.map_err(|()| bad_path(&given))? else { return Ok(Value::Null) };
    match what {
        Arrow::Value => node_value(&blob, &node, false),
        Arrow::Blob => Ok(Value::blob(node.bytes(&blob))),
        Arrow::Json => json::to_text(&blob, &node).map(Value::text).ok_or_else(malformed),
    }
}

/// The path right of an arrow: a whole one, a number of an element, or a bare label.
fn short_path(value: &Value<'_>, text: &[u8]) -> std::result::Result<Path, json::BadPath> {
    let full = match value {
        _ if text.starts_with(b"$") => text.to_vec(),
        Value::Int(n) if *n < 0 => format!("$[#-{}]", n.unsigned_abs()).into_bytes(),
        Value::Int(n) => format!("$[{n}]").into_bytes(),
        _ if text.len() >= 3 && text[0] == b'[' && text.ends_with(b"]") => [b"$", text].concat(),
        _ => [b"$.\"", text, b"\""].concat(),
    };
    Path::parse(&full)
}

/// The JSONB of a value that is put into JSON.
fn element(value: &Value<'_>) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    match value {
        Value::Null => json::push_node(&mut out, Kind::Null, b""),
        Value::Int(v) => json::push_node(&mut out, Kind::Int, v.to_string().as_bytes()),
        Value::Real(v) if v.is_infinite() => {
            let text: &[u8] = if *v > 0.0 { b"9e999" } else { b"-9e999" };
            json::push_node(&mut out, Kind::Float, text);
        }
        Value::Real(v) => {
            json::push_node(&mut out, Kind::Float, number::real_to_text(*v).as_bytes())
        }
        Value::Text(text) => json::push_node(&mut out, Kind::TextRaw, text),
        Value::Blob(blob) if json::is_plausible(blob) => out.extend_from_slice(blob),
        Value::Blob(_) => return Err(Error::new("JSON cannot hold BLOB values")),
    }
    Ok(out)
}

fn edit(name: &str, args: &[Value<'_>], change: Change, binary: bool) -> Result<Owned> {
    if args.len().is_multiple_of(2) {
        // The name that SQLite has built into its message.
        let name = name.replacen("jsonb", "json", 1);
        return Err(Error::new(format!("{name}() needs an odd number of arguments")));
    }
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    let mut blob = blob_of(&args[0])?;
    for pair in args[1..].chunks_exact(2) {
        let Some(text) = pair[0].to_bytes() else { continue };
        let path = path_of(&text)?;
        let value = element(&pair[1])?;
        blob =
            json::set(&blob, &path, &value, change).map_err(|refused| refusal(refused, &text))?;
    }
    result(blob, binary)
}

fn refusal(refused: Refused, path: &[u8]) -> Error {
    match refused {
        Refused::BadPath => bad_path(path),
        Refused::NoElement => Error::new(format!("not an array element: {}", quoted(path))),
        Refused::Malformed => malformed(),
    }
}

fn remove(args: &[Value<'_>], binary: bool) -> Result<Owned> {
    if args.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    let mut blob = blob_of(&args[0])?;
    for path in &args[1..] {
        let text = path.to_text();
        let path = path_of(&text)?;
        match json::remove(&blob, &path).map_err(|refused| refusal(refused, &text))? {
            Some(rest) => blob = rest,
            None => return Ok(Value::Null),
        }
    }
    result(blob, binary)
}

fn patch(args: &[Value<'_>], binary: bool) -> Result<Owned> {
    if args.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    let (target, changes) = (blob_of(&args[0])?, blob_of(&args[1])?);
    result(json::patch(&target, &changes).ok_or_else(malformed)?, binary)
}

/// The node that the second argument leads to, or the whole.
fn chosen(args: &[Value<'_>]) -> Result<Option<(Vec<u8>, Node)>> {
    if args.iter().any(Value::is_null) {
        return Ok(None);
    }
    let blob = blob_of(&args[0])?;
    let node = match args.get(1) {
        Some(path) => find(&blob, &path.to_text())?,
        None => Some(root(&blob)?),
    };
    Ok(node.map(|node| (blob, node)))
}

fn type_of(args: &[Value<'_>]) -> Result<Owned> {
    Ok(chosen(args)?.map_or(Value::Null, |(_, node)| Value::text(node.kind.name())))
}

fn array_length(args: &[Value<'_>]) -> Result<Owned> {
    Ok(chosen(args)?.map_or(Value::Null, |(blob, node)| match node.kind {
        Kind::Array => Value::Int(node.children(&blob).count() as i64),
        _ => Value::Int(0),
    }))
}

fn valid(args: &[Value<'_>]) -> Result<Owned> {
    let flags = match args.get(1) {
        None => 1,
        Some(Value::Null) => return Ok(Value::Null),
        Some(flags) => flags.to_int(),
    };
    if !(1..=15).contains(&flags) {
        return Err(Error::new("FLAGS parameter to json_valid() must be between 1 and 15"));
    }
    Ok(Value::bool(match &args[0] {
        Value::Null => return Ok(Value::Null),
        Value::Blob(blob) if json::is_plausible(blob) => {
            flags & 4 != 0 || flags & 8 != 0 && json::is_strict(blob)
        }
        other => json::parse(&other.to_text())
            .is_ok_and(|parsed| flags & 2 != 0 || flags & 1 != 0 && !parsed.json5),
    }))
}

fn error_position(args: &[Value<'_>]) -> Result<Owned> {
    let position = match &args[0] {
        Value::Null => return Ok(Value::Null),
        Value::Blob(blob) if json::is_plausible(blob) => usize::from(!json::is_strict(blob)),
        other => {
            let text = other.to_text();
            match json::parse(&text) {
                Ok(_) => 0,
                Err(at) => {
                    // Behind a whole value SQLite names the first byte.
                    let at = if whole_before(&text, at) { 0 } else { at };
                    let before = text.get(..at).unwrap_or(&text);
                    before.iter().filter(|b| **b & 0xc0 != 0x80).count() + 1
                }
            }
        }
    };
    Ok(Value::Int(position as i64))
}

/// Whether a value ends before `at`.
fn whole_before(text: &[u8], at: usize) -> bool {
    text.get(..at).is_some_and(|before| json::parse(before).is_ok())
}

fn quote(args: &[Value<'_>]) -> Result<Owned> {
    let mut out = Vec::new();
    append(&args[0], &mut out)?;
    Ok(Value::text(out))
}

fn pretty(args: &[Value<'_>]) -> Result<Owned> {
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    let blob = blob_of(&args[0])?;
    let indent = args.get(1).and_then(Value::to_bytes);
    let node = root(&blob)?;
    let text = json::pretty(&blob, &node, indent.as_deref().unwrap_or(b"    "));
    text.map(Value::text).ok_or_else(malformed)
}
