//! A record of any bytes: walked, looked up and compared with itself.

#![no_main]

use box_sql::record::{self, Field, Header, KeyInfo};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(fields) = record::fields(bytes) else { return };
    let fields: Vec<Field<'_>> = fields.map_while(Result::ok).collect();
    let mut header = Header::new();
    for (index, field) in fields.iter().enumerate() {
        if let Ok(Some(found)) = header.field(bytes, index) {
            assert_eq!(found, *field);
        }
    }
    let info = KeyInfo::binary(fields.len());
    if let Ok(order) = info.compare(bytes, &fields) {
        assert!(order.is_eq());
    }
    let mut again = Vec::new();
    record::encode(fields.iter().copied(), &mut again);
    let back: Vec<_> = record::fields(&again).into_iter().flatten().map_while(Result::ok).collect();
    assert_eq!(back, fields);
});
