//! Bodies with `?`, `return`, labelled loops, closures, nested items, `impl Trait`, and ones that move or change their arguments.
use std::fmt;

use hybridcache::cached;
use hybridcache_tests::block_on;

#[derive(Debug)]
struct Odd;

impl From<std::num::ParseIntError> for Odd {
    fn from(_: std::num::ParseIntError) -> Self {
        Self
    }
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("odd")
    }
}

#[cached]
fn question(text: &str) -> Result<u64, Odd> {
    let number: u64 = text.parse()?;
    if number % 2 == 1 {
        return Err(Odd);
    }
    Ok(number)
}

#[cached(handle = false)]
async fn question_inline(text: &str) -> Result<u64, Odd> {
    let number: u64 = text.parse()?;
    if number % 2 == 1 {
        return Err(Odd);
    }
    Ok(number)
}

#[cached]
async fn option(list: &[Option<u64>]) -> Option<u64> {
    let mut sum = 0;
    for item in list {
        sum += (*item)?;
    }
    Some(sum)
}

#[cached]
fn labelled(upto: u64) -> u64 {
    let mut found = 0;
    'rows: for row in 0..upto {
        for column in 0..upto {
            if column > row {
                continue 'rows;
            }
            if row * column > 20 {
                break 'rows;
            }
            found += 1;
        }
    }
    let last = 'block: {
        if found > 10 {
            break 'block 1;
        }
        0
    };
    found + last
}

#[cached]
fn items(id: u64) -> impl_free::Text {
    const SUFFIX: &str = "!";
    struct Inner(u64);
    impl Inner {
        fn get(self) -> u64 {
            self.0
        }
    }
    fn numbers(upto: u64) -> impl Iterator<Item = u64> {
        0..upto
    }
    let count = |upto| numbers(upto).count();
    format!("{}{}{SUFFIX}", Inner(id).get(), count(id))
}

mod impl_free {
    pub type Text = String;
}

#[cached]
fn moves(list: Vec<String>, text: String) -> String {
    drop(text);
    list.into_iter().collect()
}

#[cached(handle = false)]
async fn moves_inline(list: Vec<String>, text: String) -> String {
    let task = async move { list.into_iter().chain([text]).collect() };
    task.await
}

#[cached(handle = false, skip(log), when = id != 0)]
fn changes(log: &mut Vec<u64>, id: u64) -> u64 {
    log.push(id);
    id
}

#[cached]
fn diverges(id: u64) -> Result<u64, String> {
    match id {
        0 => unreachable!("never asked"),
        _ => return Ok(id),
    }
}

fn main() {
    for _ in 0..2 {
        assert_eq!(question("4").unwrap(), 4);
        assert!(question("3").is_err() && question("x").is_err());
        assert_eq!(labelled(9), labelled::uncached(9));
        assert_eq!(items(3), "33!");
        assert_eq!(moves(vec!["a".to_owned()], "b".to_owned()), "a");
        assert_eq!(diverges(1), Ok(1));
        let mut log = Vec::new();
        assert_eq!((changes(&mut log, 0), changes(&mut log, 0), log.len()), (0, 0, 2));
        block_on(async {
            assert_eq!(question_inline("4").await.unwrap(), 4);
            assert!(question_inline("3").await.is_err() && question_inline("x").await.is_err());
            assert_eq!(option(&[Some(1), Some(2)]).await, Some(3));
            assert_eq!(option(&[None]).await, None);
            assert_eq!(moves_inline(vec!["a".to_owned()], "b".to_owned()).await, "ab");
        });
    }
    assert_eq!((question::stats().hits, labelled::stats().hits, items::stats().hits), (1, 1, 1));
}
