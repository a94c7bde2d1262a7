#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hybridcache::__private::fuzz::record(bytes));
