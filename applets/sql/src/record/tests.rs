//! Values, edges and malformed records.

use super::*;

#[test]
fn varints_round_trip_at_every_length() {
    for shift in 0..64 {
        for value in [1u64 << shift, (1u64 << shift) - 1, (1u64 << shift) | 1, u64::MAX >> shift] {
            let mut out = Vec::new();
            push_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value));
            assert_eq!(read_varint(&out), Some((value, out.len())));
            assert_eq!(read_varint(&out[..out.len() - 1]), None);
        }
    }
    assert_eq!(varint_len(u64::MAX), 9);
    assert_eq!(varint_len((1 << 56) - 1), 8);
    assert_eq!(varint_len(1 << 56), 9);
}

#[test]
fn records_round_trip() {
    let long = vec![7u8; 70_000];
    let values = [
        Field::Null,
        Field::Int(0),
        Field::Int(1),
        Field::Int(-1),
        Field::Int(127),
        Field::Int(128),
        Field::Int(-129),
        Field::Int(1 << 22),
        Field::Int(-(1 << 23)),
        Field::Int(1 << 23),
        Field::Int(1 << 40),
        Field::Int(i64::MIN),
        Field::Int(i64::MAX),
        Field::Real(-0.5),
        Field::Text(b"text"),
        Field::Blob(&long),
        Field::Text(b""),
    ];
    let mut out = Vec::new();
    encode(values.iter().copied(), &mut out);
    let back: Vec<_> = fields(&out).unwrap().map(Result::unwrap).collect();
    assert_eq!(back, values);
    let mut header = Header::new();
    assert_eq!(header.field(&out, 15).unwrap(), Some(Field::Blob(&long[..])));
    assert_eq!(header.field(&out, 3).unwrap(), Some(Field::Int(-1)));
    assert_eq!(header.field(&out, 17).unwrap(), None);
    assert_eq!(header.column_count(&out).unwrap(), 17);
}

#[test]
fn a_header_of_127_types_counts_its_own_length() {
    for count in [125, 126, 127, 128, 129, 16_380, 16_381, 16_382, 16_383] {
        let mut out = Vec::new();
        encode(std::iter::repeat_n(Field::Int(5), count), &mut out);
        assert_eq!(fields(&out).unwrap().count(), count);
        assert!(fields(&out).unwrap().all(|f| f.unwrap() == Field::Int(5)));
    }
}

#[test]
fn integers_and_reals_compare_exactly() {
    let big = (1i64 << 53) + 1;
    assert_eq!(compare_int_real(big, (1i64 << 53) as f64), Ordering::Greater);
    assert_eq!(compare_int_real(i64::MAX, 9_223_372_036_854_775_808.0), Ordering::Less);
    assert_eq!(compare_int_real(i64::MIN, -9_223_372_036_854_775_808.0), Ordering::Equal);
    assert_eq!(compare_int_real(3, 3.5), Ordering::Less);
    assert_eq!(compare_int_real(-3, -3.5), Ordering::Greater);
    assert_eq!(compare_int_real(0, f64::NEG_INFINITY), Ordering::Greater);
}

#[test]
fn descending_columns_turn_the_order() {
    let info = KeyInfo {
        columns: vec![KeyColumn { collation: Collation::NoCase, desc: true }, KeyColumn::default()],
        encoding: Encoding::Utf8,
    };
    let mut record = Vec::new();
    encode([Field::Text(b"ABC"), Field::Int(4)], &mut record);
    assert_eq!(info.compare(&record, &[Field::Text(b"abc")]).unwrap(), Ordering::Equal);
    assert_eq!(info.compare(&record, &[Field::Text(b"abd")]).unwrap(), Ordering::Greater);
    let key = [Field::Text(b"abc"), Field::Real(4.5)];
    assert_eq!(info.compare(&record, &key).unwrap(), Ordering::Less);
}

#[test]
fn cut_and_mutated_records_never_panic() {
    let mut record = Vec::new();
    encode([Field::Int(1 << 40), Field::Text(b"hello"), Field::Real(1.5)], &mut record);
    for cut in 0..record.len() {
        let piece = &record[..cut];
        if let Ok(fields) = fields(piece) {
            fields.for_each(drop);
        }
        let _ = Header::new().field(piece, 2);
    }
    for at in 0..record.len() {
        for value in 0..=255 {
            let mut changed = record.clone();
            changed[at] = value;
            if let Ok(fields) = fields(&changed) {
                fields.for_each(drop);
            }
            let _ = Header::new().column_count(&changed);
            let _ = KeyInfo::binary(3).compare(&changed, &[Field::Int(1), Field::Null]);
        }
    }
}
