//! Columns: the fields of the registry, and what the frame itself tells.

use box_kit::Failure;

use super::Dissected;
use crate::dissect::model::{Field, Spelling, Value};
use crate::text::address::{Address, Mac};
use crate::text::{DecN, HexBytes, HexN, Put};

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// `frame.number`
    Number,
    /// `frame.time_epoch`
    Time,
    /// `frame.len`
    Length,
    /// `frame.cap_len`
    Captured,
    /// `frame.protocols`
    Protocols,
    /// A field of a layer.
    Field(Field),
}

/// Names of what the frame tells.
pub const FRAME: &[(&str, Column)] = &[
    ("frame.number", Column::Number),
    ("frame.time_epoch", Column::Time),
    ("frame.len", Column::Length),
    ("frame.cap_len", Column::Captured),
    ("frame.protocols", Column::Protocols),
];

impl Column {
    /// The column of a name.
    pub fn find(name: &str) -> Option<Column> {
        let frame = FRAME.iter().find(|row| row.0 == name).map(|row| row.1);
        let field = || Field::ALL.iter().find(|field| field.name() == name);
        frame.or_else(|| field().map(|field| Column::Field(*field)))
    }

    /// The column of a name.
    ///
    /// # Errors
    /// No field has the name.
    pub fn named(name: &str) -> Result<Column, Failure> {
        Column::find(name.trim()).ok_or_else(|| {
            let frame = FRAME.iter().map(|row| row.0);
            let known: Vec<_> = frame.chain(Field::ALL.iter().map(|field| field.name())).collect();
            Failure::new(format!("no field is called {name:?}")).advise(known.join(" "))
        })
    }
}

/// `1700000000.123456000`
pub fn put_time(out: &mut Vec<u8>, packet: Dissected<'_>) {
    (packet.packet.stamp.seconds, ".", DecN(packet.nanos, 9)).put(out);
}

/// `eth:ip:tcp`
pub fn put_protocols(out: &mut Vec<u8>, packet: Dissected<'_>) {
    for (index, layer) in packet.record.layers().enumerate() {
        if index > 0 {
            out.push(b':');
        }
        layer.put(out);
    }
}

/// Appends a value as its field spells it.
pub fn put_value(out: &mut Vec<u8>, field: Field, value: Value<'_>) {
    match (value, field.spelling()) {
        (Value::Number(number), Spelling::Hex(digits)) => ("0x", HexN(number, digits)).put(out),
        (Value::Number(number), _) => number.put(out),
        (Value::Address(address), _) => address.put(out),
        (Value::Bytes(bytes), Spelling::Mac) => Mac(bytes).put(out),
        (Value::Bytes(bytes), Spelling::Text) => String::from_utf8_lossy(bytes).as_ref().put(out),
        (Value::Bytes(bytes), _) => HexBytes(bytes).put(out),
    }
}

/// Appends a row: columns between tabs, the values of one column between commas.
pub fn row(out: &mut Vec<u8>, columns: &[Column], packet: Dissected<'_>) {
    for (index, column) in columns.iter().enumerate() {
        if index > 0 {
            out.push(b'\t');
        }
        match *column {
            Column::Number => packet.number.put(out),
            Column::Time => put_time(out, packet),
            Column::Length => packet.packet.wire_len.put(out),
            Column::Captured => packet.packet.bytes.len().put(out),
            Column::Protocols => put_protocols(out, packet),
            Column::Field(field) => {
                for (index, value) in packet.record.values(field).enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    put_value(out, field, value);
                }
            }
        }
    }
    out.push(b'\n');
}

/// An order of addresses, that of their bytes.
pub fn address_key(address: Address) -> (u8, [u8; 16]) {
    match address {
        Address::V4(ip) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.0);
            (4, bytes)
        }
        Address::V6(ip) => (6, ip.0),
    }
}
