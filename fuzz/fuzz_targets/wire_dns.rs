//! DNS messages: names, questions and records of any bytes.
#![no_main]

use box_wire::dns;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|message: &[u8]| {
    if let Ok((question, _)) = dns::question(message, dns::HEADER_BYTES) {
        let _ = question.name.to_dotted();
    }
    if let Ok(answers) = dns::answers(message) {
        for record in answers {
            let _ = (record.name.to_dotted(), record.address());
        }
    }
});
