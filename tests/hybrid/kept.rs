//! What is kept of what was loaded, and for how long.

use hybridcache::codec::MsgPack;
use hybridcache::{Builder, Cache, CacheManager, Share};
use hybridcache_tests::MINUTE;
use hybridcache_tests::redis_server::RedisServer;

use crate::node;

fn texts(node: &CacheManager, say: impl FnOnce(Builder<u64, String>) -> Builder<u64, String>) -> Cache<u64, String> {
    say(Cache::builder("texts").ttl(MINUTE).hybrid(MsgPack)).manager(node).build().unwrap()
}

#[tokio::test]
async fn a_reload_whose_result_is_not_kept_leaves_nothing_in_redis() {
    let server = RedisServer::start();
    let (a, b) = (node(&server).await, node(&server).await);
    let short = |node: &CacheManager| texts(node, |texts| texts.store_if(|text| text != "odd").max_value_bytes(100));
    let (here, there) = (short(&a), short(&b));
    let stands = || server.ask(&["EXISTS", "{hc:test:0}texts:v1:7"]).text() == "1";
    let load = async || {
        here.evict(&7).await.unwrap();
        here.get_or_load(&7, || async { "old".to_owned() }).await;
        assert!(stands());
    };
    load().await;
    here.refresh(&7, || async { None::<String> }).await;
    assert!(!stands(), "the row is gone, and `None` is not kept");
    load().await;
    here.refresh(&7, || async { "odd".to_owned() }).await;
    assert!(!stands(), "`store_if` does not want it");
    load().await;
    let said = here.fetch(&7).reload().load(Share::none(), |context| async move {
        context.do_not_keep();
        "new".to_owned()
    });
    assert_eq!(said.await.result, "new");
    assert!(!stands(), "its loader does not want it");
    load().await;
    here.refresh(&7, || async { "long".repeat(100) }).await;
    assert!(!stands(), "it cannot be encoded");
    assert_eq!(there.get(&7).await, None, "nobody gets what was before");
    load().await;
    let failed = here.refresh(&7, || async { Err::<String, _>("away") }).await;
    assert!(failed.is_err() && stands(), "a reload that failed leaves what was there");
    a.shutdown().await;
    b.shutdown().await;
}
