//! Good streams and bad ones.

use std::path::{Path, PathBuf};

use super::*;

/// The keys 7, 8 and 4 294 967 295 as text, one a line, packed by `xz`.
const PACKED_TEXT: &[u8] =
    b"\xFD7zXZ\0\0\x04\xE6\xD6\xB4F\x02\0!\x01\x1C\0\0\0\x10\xCFX\xCC\x01\0\x0E7\x0A8\x0A4294967\
        295\x0A\0\0\xF8I\x9E''\x12`\xAF\0\x01'\x0F\xDF\x1A\xFCj\x1F\xB6\xF3}\x01\0\0\0\0\x04YZ";

fn table(name: &str, column: Option<&str>, bytes: &'static [u8]) -> Result<Vec<u64>, StreamError> {
    let (input, name) = packed::unpack(bytes, Path::new(name))?;
    formats::decode(input, name, column)?.collect()
}

fn read(name: &str, bytes: &'static [u8]) -> Result<Vec<u64>, StreamError> {
    table(name, None, bytes)
}

fn complaint(name: &str, bytes: &'static [u8]) -> String {
    read(name, bytes).expect_err("the stream is bad").to_string()
}

#[test]
fn binary_keys_are_big_endian() {
    assert_eq!(read("keys.trace", &[0, 0, 0, 7, 0x40, 0, 0, 1]).unwrap(), [7, 0x4000_0001]);
}

#[test]
fn text_keys_stand_one_a_line() {
    assert_eq!(read("keys.txt", b"7\r\n\n  8 \n18446744073709551615").unwrap(), [7, 8, u64::MAX]);
}

#[test]
fn lines_of_an_arc_trace_are_ranges() {
    assert_eq!(read("P1.lis", b"10 3 0 0\n\n7 1 0 1\n4 0 0 2\n").unwrap(), [10, 11, 12, 7]);
    for bytes in [
        b"10 3 0 0\n11 x 0 1\n" as &[u8],
        b"1 1 0 0\n5\n",
        b"1 1 0 0\n18446744073709551615 2 0 0\n",
        b"1 1 0 0\n0 1000000001 0 0\n",
        b"1 1 0 0\n0 18446744073709551000 0 0\n",
    ] {
        assert!(complaint("P1.lis", bytes).starts_with("line 2: "));
    }
}

#[test]
fn a_table_gives_the_column_by_number_or_by_name() {
    let by_number = table("a.csv", Some("2"), b"x,7\n\"y,z\",8\nx,7\n").unwrap();
    assert_eq!(by_number[0], by_number[2]);
    assert_ne!(by_number[0], by_number[1]);
    let by_name = table("a.csv", Some("page"), b"user,page\nx,7\ny,8\nx,7\n").unwrap();
    assert_eq!(by_number, by_name);
    assert_eq!(read("a.csv", b"/a\n/b\n/a\n").unwrap().len(), 3);
}

#[test]
fn a_table_without_the_column_says_so() {
    assert!(matches!(table("a.csv", Some("page"), b"user,side\nx,7\n"), Err(StreamError::NoColumn(_))));
    assert!(matches!(table("a.csv", Some("0"), b"x,7\n"), Err(StreamError::NoColumn(_))));
    let short = table("a.csv", Some("2"), b"x,7\ny\n").expect_err("row 2 is short").to_string();
    assert_eq!(short, "row 2: it has no column 2");
    static ENDLESS: &[u8] = &[b'x'; 2 << 20];
    assert!(matches!(read("a.csv", ENDLESS), Err(StreamError::Row { row: 1, .. })));
    let unclosed = format!("x\n\"{}", "y\n".repeat(1 << 20)).into_bytes().leak();
    assert!(matches!(read("a.csv", unclosed), Err(StreamError::Row { row: 2, .. })));
}

#[test]
fn only_a_table_has_columns() {
    for (name, bytes) in [("a.txt", b"7\n" as &[u8]), ("a.lis", b"7 1 0 0\n"), ("a.trace", b"1234"), ("a", b"x,7\n")] {
        assert!(matches!(table(name, Some("1"), bytes), Err(StreamError::NotATable)), "{name}");
    }
    assert_eq!(table("a.csv.xz", Some("1"), PACKED_TEXT).unwrap().len(), 3);
}

#[test]
fn compressed_keys_are_unpacked_on_the_way() {
    assert_eq!(read("keys.txt.xz", PACKED_TEXT).unwrap(), [7, 8, 4_294_967_295]);
    let mut packed = zstd::encode_all(b"7\n8\n" as &[u8], 3).unwrap();
    packed.extend(zstd::encode_all(b"9\n" as &[u8], 3).unwrap());
    // As `pzstd` has it, there are frames before and between that are to be skipped.
    let skipped = b"\x50\x2A\x4D\x18\x04\0\0\0\x11\0\0\0";
    let by_pzstd = [skipped, &packed[..], skipped, &packed[..]].concat();
    assert_eq!(read("keys.txt.zst", packed.leak()).unwrap(), [7, 8, 9]);
    assert_eq!(read("keys.txt.zst", by_pzstd.leak()).unwrap(), [7, 8, 9, 7, 8, 9]);
}

#[test]
fn what_is_packed_otherwise_is_not_taken_for_keys() {
    for name in ["a.tar.xz", "a.txt.gz.xz", "a.txz", "a.txt.lzma"] {
        assert!(matches!(read(name, PACKED_TEXT), Err(StreamError::PackedOtherwise(_))), "{name}");
    }
}

#[test]
fn without_a_telling_name_the_content_decides() {
    assert_eq!(read("keys", b"12\n34\n").unwrap(), [12, 34]);
    assert_eq!(read("keys", &[0, 0, 0, 12]).unwrap(), [12]);
    assert_eq!(read("keys", PACKED_TEXT).unwrap(), [7, 8, 4_294_967_295]);
    assert_eq!(read("keys.XZ", PACKED_TEXT).unwrap(), [7, 8, 4_294_967_295]);
}

#[test]
fn the_name_outweighs_the_content() {
    assert_eq!(read("digits.bin", b"1234").unwrap(), [0x3132_3334]);
}

#[test]
fn a_truncated_key_is_reported_with_its_byte() {
    let complaint = complaint("keys.bin", &[0, 0, 0, 7, 0, 0, 1]);
    assert!(complaint.contains("the one at byte 4 has only 3"), "{complaint}");
}

#[test]
fn junk_is_reported_with_its_line() {
    for (bytes, said) in [
        (b"1\n\ntwo\n" as &[u8], "line 3: `two` is not a key"),
        (b"1\n-2\n", "line 2: `-2` is not a key"),
        (b"1 2\n", "line 1: `1 2` is not a key"),
        (b"18446744073709551616\n", "line 1: `18446744073709551616` is not a key"),
        (b"\xFF\x1B\n", "line 1: `\u{FFFD}\\u{1b}` is not a key"),
    ] {
        let complaint = complaint("keys.txt", bytes);
        assert!(complaint.starts_with(said), "{complaint}");
    }
}

#[test]
fn a_file_without_line_ends_is_not_read_whole() {
    let complaint = complaint("keys.txt", &[b'9'; 1 << 20]);
    assert!(complaint.len() < 300, "{complaint}");
}

#[test]
fn an_empty_file_holds_nothing_to_replay() {
    assert!(matches!(read("keys.trace", b""), Err(StreamError::Empty)));
}

#[test]
fn damaged_and_cut_off_xz_are_told_from_other_faults() {
    assert!(matches!(read("keys.txt.xz", b"7\n8\n"), Err(StreamError::NotPacked("xz"))));
    assert!(matches!(read("keys.txt.xz", &PACKED_TEXT[..40]), Err(StreamError::Damaged(_))));
}

#[test]
fn who_can_use_small_keys_only_is_told_that_a_table_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let first = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Source::recorded(path).small_keys().and_then(|mut keys| keys.next().unwrap())
    };
    assert_eq!(first("a.txt", b"4294967295\n").unwrap(), u32::MAX);
    assert!(matches!(first("a.txt", b"4294967296\n"), Err(StreamError::TooLarge(4_294_967_296))));
    let complaint = first("a.csv", b"7,8\n").unwrap_err().to_string();
    assert!(complaint.contains("table"), "{complaint}");
}

#[test]
fn a_missing_file_and_a_directory_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let open = |path: PathBuf| Source::recorded(path).keys().err();
    assert!(matches!(open(folder.path().join("none.trace")), Some(StreamError::Missing)));
    assert!(matches!(open(folder.path().to_path_buf()), Some(StreamError::Directory)));
}

#[test]
fn a_zipf_stream_is_the_same_each_time() {
    let source = Source::Zipf { requests: 1000, products: 50, exponent: 0.99 };
    let keys = || source.keys().unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(keys(), keys());
    assert!(keys().iter().all(|key| (1..=50).contains(key)));
}
