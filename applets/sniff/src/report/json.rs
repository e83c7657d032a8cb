//! A packet as an object of JSON, on a line of its own: the keys are the names of the fields, the
//! values numbers or strings; a field that a packet has several times is an array.

use super::{Dissected, column};
use crate::dissect::model::{Field, Spelling, Value};
use crate::text::Put;

/// The fields fit into the bits of a number.
const _: () = assert!(Field::ALL.len() <= 128);

/// Appends the object of a packet.
pub fn object(out: &mut Vec<u8>, packet: Dissected<'_>) {
    ("{\"frame.number\":", packet.number, ",\"frame.time_epoch\":\"").put(out);
    column::put_time(out, packet);
    ("\",\"frame.len\":", packet.packet.wire_len).put(out);
    (",\"frame.cap_len\":", packet.packet.bytes.len(), ",\"frame.protocols\":\"").put(out);
    column::put_protocols(out, packet);
    out.push(b'"');
    let fields = || packet.record.fields().filter(|row| row.0 != Field::TcpPayload);
    // A bit a field: those seen, and those seen more than once.
    let (mut seen, mut several) = (0u128, 0u128);
    for (field, _) in fields() {
        let bit = 1 << field as u32;
        several |= seen & bit;
        seen |= bit;
    }
    for (field, first) in fields() {
        let bit = 1 << field as u32;
        if seen & bit == 0 {
            continue;
        }
        seen &= !bit;
        (",\"", field.name(), "\":").put(out);
        if several & bit == 0 {
            value(out, field, first);
            continue;
        }
        for (index, other) in packet.record.values(field).enumerate() {
            out.push(if index == 0 { b'[' } else { b',' });
            value(out, field, other);
        }
        out.push(b']');
    }
    "}\n".put(out);
}

fn value(out: &mut Vec<u8>, field: Field, value: Value<'_>) {
    match (value, field.spelling()) {
        (Value::Number(number), _) => number.put(out),
        (Value::Bytes(bytes), Spelling::Text) => string(out, &String::from_utf8_lossy(bytes)),
        _ => {
            out.push(b'"');
            column::put_value(out, field, value);
            out.push(b'"');
        }
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for letter in text.chars() {
        match letter {
            '"' => "\\\"".put(out),
            '\\' => "\\\\".put(out),
            '\0'..='\x1f' | '\x7f' => ("\\u", crate::text::HexN(letter as u32, 4)).put(out),
            _ => letter.put(out),
        }
    }
    out.push(b'"');
}
