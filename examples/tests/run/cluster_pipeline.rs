use tidings_testkit::Cluster;

use crate::program::Program;

struct Shop(Cluster);

impl Shop {
    fn start(&self, words: &str) -> Program {
        let url = self.0.url();
        let words: Vec<&str> = [url.as_str()].into_iter().chain(words.split(' ')).collect();
        Program::start("cluster_pipeline", &words)
    }

    fn ask(&self, words: &str) -> Vec<String> {
        let (said, status) = self.start(words).end();
        assert!(status.success(), "{said:?}");
        said
    }
}

#[test]
fn what_is_on_many_nodes_is_counted_in_one_go_and_sold_once() {
    let shop = Shop(Cluster::start());
    let added = shop.ask("add apples 3 pears 5 plums 2 nuts 1");
    assert_eq!(added, ["apples: 3", "pears: 5", "plums: 2", "nuts: 1"]);
    assert_eq!(shop.ask("sell apples 2"), ["sold 2, left: 1"]);
    assert_eq!(shop.ask("sell apples 2"), ["there are not enough"]);
    assert_eq!(
        shop.ask("show plums apples cherries"),
        [
            "plums: 2, sales: 0",
            "apples: 1, sales: 1",
            "cherries: 0, sales: 0"
        ]
    );

    // Of a few who want the last ones at the same time as many get them as there are.
    let buyers: Vec<Program> = (0..6).map(|_| shop.start("sell pears 1")).collect();
    let said = buyers.into_iter().flat_map(|buyer| buyer.end().0);
    let mut said: Vec<String> = said.collect();
    said.sort_unstable();
    let sold = (0..5).map(|left| format!("sold 1, left: {left}"));
    let expected: Vec<String> = sold.chain(["there are not enough".to_owned()]).collect();
    assert_eq!(said, expected);
    assert_eq!(shop.ask("show pears"), ["pears: 0, sales: 5"]);
}

#[test]
fn one_command_that_fails_leaves_the_others_alone() {
    let shop = Shop(Cluster::start());
    let key = "{item:pears}:stock";
    shop.0.owner_of_key(key).admin(["RPUSH", key, "no number"]);
    let said = shop.ask("add apples 3 pears 5 plums 2");
    assert_eq!(
        (said[0].as_str(), said[2].as_str()),
        ("apples: 3", "plums: 2")
    );
    assert!(
        said[1].starts_with("pears: ") && said[1].contains("WRONGTYPE"),
        "{said:?}"
    );
}
