//! The whole program, on good streams and bad ones.

use std::fs;

use hybridcache::Cache;
use indicatif::HumanCount;
use tempfile::TempDir;

use super::*;

/// Plans for a file with this name and content; returns the page.
fn plan_for(name: &str, content: &[u8], flags: &[&str]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), content).unwrap();
    plan_in(&folder, name, flags)
}

fn plan_in(folder: &TempDir, name: &str, flags: &[&str]) -> Result<String, String> {
    let (path, page) = (folder.path().join(name), folder.path().join("plan.html"));
    let words = ["plan", path.to_str().unwrap(), "--page", page.to_str().unwrap()];
    let flags = Flags::try_parse_from(words.iter().chain(flags)).map_err(|error| error.to_string())?;
    let whole = run(&flags).map_err(|error| error.to_string());
    let files = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 1 + usize::from(whole.is_ok()), "nothing is left behind");
    assert!(whole?);
    let permissions = |path: &Path| fs::metadata(path).unwrap().permissions();
    assert_eq!(permissions(&page), permissions(&path), "as of any file");
    Ok(fs::read_to_string(page).unwrap())
}

#[test]
fn a_stream_gets_a_page_with_a_recommendation() {
    let text: String = (0..3_000_u32).map(|i| format!("{}\n", i * i % 1_009 % 97)).collect();
    let page = plan_for("keys.txt", text.as_bytes(), &[]).unwrap();
    for part in
        ["<svg", "optimum", "adaptive", "policy = ", "without a lifetime", "entries held", "3,000 requests", "</html>"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("http"), "the page needs nothing else");
}

#[test]
fn a_stream_of_one_key_and_one_of_none_twice_have_results() {
    let page = plan_for("one.txt", "7\n".repeat(50).as_bytes(), &[]).unwrap();
    assert!(page.contains("capacity = 1: 98.0 % hits"), "{page}");
    let page = plan_for("never.txt", b"1\n2\n3\n", &[]).unwrap();
    assert!(page.contains("no cache would ever hit"));
    plan_for("single.txt", b"1\n", &["--capacity", "1,5,5"]).unwrap();
}

/// Each of ten batches is gone over ten times: `lru` has all of it or nothing, and whatever lies between is of no use.
#[test]
fn what_is_recommended_hits_as_it_says() {
    let text: String = (0..1_900_u32).map(|i| format!("{}\n", i / 190 * 19 + i % 19)).collect();
    let page = plan_for("batches.txt", text.as_bytes(), &[]).unwrap();
    assert!(page.contains("policy = lru, capacity = 19: 90.0 % hits, of 90.0 % that are reachable"), "{page}");
}

#[test]
fn bad_streams_are_refused_by_name() {
    let column = &["--column", "page"][..];
    for (name, content, flags, said) in [
        ("empty.trace", &b""[..], &[][..], "the stream is empty"),
        ("cut.bin", b"abcde", &[], "the stream ends inside a key"),
        ("junk.txt", b"1\nfoo\n", &[], "line 2: `foo` is not a key"),
        ("long.lis", b"1 1 0 0\n0 18446744073709551000 0 0\n", &[], "a count up to 1000000000"),
        ("keys.csv", b"a,b\n1,2\n", column, "there is no column `page`"),
        ("keys.txt", b"1\n2\n", column, "`--column` is for tables"),
        ("fake.txt.zst", b"1\n", &[], "it does not begin like such a file"),
        ("packed.txt.gz", b"\x1F\x8B\x08\0\0\0\0\0", &[], ".gz is not unpacked here"),
        ("traces.tar", b"a.trace\0", &[], ".tar is not unpacked here"),
    ] {
        let complaint = plan_for(name, content, flags).unwrap_err();
        assert!(complaint.contains(name) && complaint.contains(said), "{complaint}");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("folder.trace")).unwrap();
    assert!(plan_in(&folder, "folder.trace", &[]).unwrap_err().contains("this is a directory"));
}

#[test]
fn bad_flags_are_refused() {
    for flags in [
        ["--capacity", "0"],
        ["--recorded-share", "0"],
        ["--recorded-share", "2"],
        ["--most", "5"],
        ["--inline-bytes", "257"],
    ] {
        assert!(plan_for("keys.txt", b"1\n", &flags).unwrap_err().contains(flags[0]));
    }
    assert!(plan_for("keys.txt", b"1\n", &["--page", "/no/such/folder/plan.html"]).is_err());
}

#[test]
fn only_a_page_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("keys.txt"), "1\n1\n").unwrap();
    plan_in(&folder, "keys.txt", &[]).unwrap();
    let again = plan_in(&folder, "keys.txt", &[]).unwrap();
    fs::write(folder.path().join("plan.html"), "").unwrap();
    assert_eq!(plan_in(&folder, "keys.txt", &[]).unwrap(), again);
    let [keys, page] = ["keys.txt", "plan.html"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    let flags = Flags::try_parse_from(["plan", "--page", &keys, &page]).unwrap();
    assert!(run(&flags).unwrap_err().to_string().contains(&format!("--page {keys}: there is something else")));
    assert_eq!(fs::read_to_string(keys).unwrap(), "1\n1\n");
}

/// `/dev/stdout` is one, which for root would be gone.
#[cfg(unix)]
#[test]
fn a_link_to_a_page_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let [keys, page, link] = ["keys.txt", "page.html", "link.html"].map(|name| folder.path().join(name));
    fs::write(&keys, "1\n1\n").unwrap();
    fs::write(&page, "").unwrap();
    std::os::unix::fs::symlink("page.html", &link).unwrap();
    let words = ["plan", keys.to_str().unwrap(), "--page", link.to_str().unwrap()];
    assert!(run(&Flags::try_parse_from(words).unwrap()).unwrap());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&page).unwrap().ends_with("</html>\n"));
}

/// `/dev/null`, say, which for root would be gone.
#[cfg(unix)]
#[test]
fn a_page_that_is_no_file_is_written_to_and_stays_what_it_is() {
    use std::os::unix::fs::FileTypeExt as _;

    let folder = tempfile::tempdir().unwrap();
    let (path, page) = (folder.path().join("keys.txt"), folder.path().join("pipe"));
    fs::write(&path, "1\n1\n").unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&page).status().unwrap().success());
    let reader = std::thread::spawn({
        let page = page.clone();
        move || fs::read_to_string(page).unwrap()
    });
    let words = ["plan", path.to_str().unwrap(), "--page", page.to_str().unwrap()];
    assert!(run(&Flags::try_parse_from(words).unwrap()).unwrap());
    assert!(fs::metadata(&page).unwrap().file_type().is_fifo());
    assert!(reader.join().unwrap().ends_with("</html>\n"));
}

#[test]
fn a_recording_of_a_share_stands_for_the_whole() {
    let text: String = (0..3_000_u32).map(|i| format!("{}\n", i * i % 1_009 % 97)).collect();
    let page = plan_for("keys.txt", text.as_bytes(), &["--recorded-share", "0.1"]).unwrap();
    assert!(page.contains("30,000 requests for about"), "{page}");
    plan_for("keys.txt", text.as_bytes(), &["--recorded-share", "1e-30"]).unwrap();
}

/// One entry would stand for ten, with the hits of ten.
#[test]
fn of_a_share_of_the_keys_no_capacity_is_judged_that_is_too_small_for_it() {
    let text: String = (0..3_000_u32).map(|i| format!("{}\n", i * i % 1_009 % 97)).collect();
    let of = |capacity| plan_for("keys.txt", text.as_bytes(), &["--recorded-share", "0.1", "--capacity", capacity]);
    assert!(of("200,79").unwrap_err().contains("keys.txt: --capacity 79: "));
    assert!(of("80").is_ok());
}

/// Keys that can still be halved once, and then no more.
#[test]
fn what_is_left_out_is_said_also_where_the_stream_is_cut_besides() {
    let text: String = (0..60_000_u32).map(|i| format!("{}\n", i % 3_000)).collect();
    let page = plan_for("keys.txt", text.as_bytes(), &["--most", "10000"]).unwrap();
    assert!(page.contains("60,000 requests; replayed: the first 10,000 for one key in 2, with 1,"), "{page}");
}

#[test]
fn names_cannot_break_the_page() {
    let page = plan_for("<b>&.txt", b"1\n1\n", &[]).unwrap();
    assert!(page.contains("&lt;b&gt;&amp;.txt") && !page.contains("<b>"));
}

#[test]
fn what_a_cache_records_can_be_planned_with() {
    let folder = tempfile::tempdir().unwrap();
    let cache: Cache<u64, u64> = Cache::builder("planned").capacity(100).build().unwrap();
    let recorder = cache.record(folder.path().join("keys.trace"), 0.5).unwrap();
    for i in 0..20_000_u64 {
        let key = i * i % 4_001 % 800;
        let _: Result<u64, std::io::Error> = cache.blocking().get_or_load(&key, || Ok(key));
    }
    let recorded = recorder.finish().unwrap();
    let page = plan_in(&folder, "keys.trace", &["--recorded-share", "0.5"]).unwrap();
    let stands_for = HumanCount(2 * recorded.requests);
    assert!(page.contains(&format!("{stands_for} requests for about")), "{page}");
    assert!(page.contains("policy = "));
}
