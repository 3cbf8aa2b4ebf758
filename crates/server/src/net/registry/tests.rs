use std::net::IpAddr;
use std::task::{Context, Poll, Waker};

use bellwether_schema::Spanned;
use tokio::io::AsyncWriteExt;

use super::*;

fn limits(max: u32) -> Limits {
    Limits {
        max_connections: Spanned::nowhere(max),
        ..Limits::default()
    }
}

fn ip(last: u8) -> Peer {
    IpAddr::from([10, 0, 0, last]).into()
}

async fn later(millis: u64) {
    tokio::time::advance(Duration::from_millis(millis)).await;
}

fn registry() -> Arc<Registry> {
    Arc::new(Registry::new(Arc::default()))
}

/// Returns a place if one is free at once.
fn place(registry: &Arc<Registry>, last: u8, max: u32) -> Option<Place> {
    let limits = limits(max);
    let mut waiting = std::pin::pin!(registry.place(ip(last), None, &limits));
    match waiting
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(place) => place,
        Poll::Pending => None,
    }
}

/// Future that is polled by hand.
struct ByHand<F>(std::pin::Pin<Box<F>>);

fn by_hand<F: Future<Output = ()>>(future: F) -> ByHand<F> {
    ByHand(Box::pin(future))
}

impl<F: Future<Output = ()>> ByHand<F> {
    fn is_ready(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        self.0.as_mut().poll(&mut context).is_ready()
    }

    fn is_pending(&mut self) -> bool {
        !self.is_ready()
    }
}

fn cut(places: &[Place]) -> Vec<bool> {
    places
        .iter()
        .map(|place| place.cut.is_cancelled())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_connection_waited_for_longest_gives_way() {
    let registry = registry();
    let mut places = Vec::new();
    for _ in 0..3 {
        places.push(place(&registry, 1, 3).unwrap());
        later(1000).await;
    }
    places[0].activity.begin(registry.now());
    let newcomer = place(&registry, 1, 3).unwrap();
    assert_eq!(
        cut(&places),
        [false, true, false],
        "the oldest is being served"
    );
    places[2].activity.begin(registry.now());
    newcomer.activity.begin(registry.now());
    assert!(place(&registry, 1, 3).is_none(), "all are being served");
}

#[tokio::test(start_paused = true)]
async fn a_client_with_many_takes_no_place_of_one_with_few() {
    let registry = registry();
    let lone = place(&registry, 7, 4).unwrap();
    later(100_000).await;
    let many: Vec<Place> = (0..3).map(|_| place(&registry, 1, 4).unwrap()).collect();
    for place in &many {
        place.activity.begin(registry.now());
    }
    assert!(place(&registry, 1, 4).is_none());
    assert!(!lone.cut.is_cancelled());
    let newcomer = place(&registry, 2, 4).unwrap();
    assert_eq!(
        cut(&many).iter().filter(|cut| **cut).count(),
        1,
        "not even when it is busy"
    );
    assert!(!lone.cut.is_cancelled() && !newcomer.cut.is_cancelled());
    assert_eq!(registry.stats.closed_by_server()[&CloseReason::Evicted], 1);
}

#[tokio::test(start_paused = true)]
async fn a_scrape_under_way_goes_after_the_others_of_its_client() {
    let registry = registry();
    let places: Vec<Place> = (0..3).map(|_| place(&registry, 1, 3).unwrap()).collect();
    for place in &places {
        place.activity.begin(registry.now());
    }
    places[0].activity.set_scrape(true);
    places[0].activity.response_started();
    places[0].activity.wrote(true, registry.now());
    later(150).await;
    assert!(place(&registry, 1, 3).is_none(), "it may be slow");
    let other = place(&registry, 2, 3).unwrap();
    assert_eq!(cut(&places), [false, true, false]);
    later(50).await;
    assert!(place(&registry, 1, 3).is_some() && !other.cut.is_cancelled());
    assert_eq!(cut(&places), [true, true, false], "but not for ever");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_end_is_no_scrape_under_way() {
    let registry = registry();
    let place_of_one = place(&registry, 1, 1).unwrap();
    place_of_one.activity.set_scrape(true);
    later(100).await;
    assert!(place(&registry, 1, 1).is_some() && place_of_one.cut.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_pushed_out_before_it_could_speak() {
    let registry = registry();
    let places: Vec<Place> = (0..4).map(|_| place(&registry, 1, 4).unwrap()).collect();
    later(50).await;
    assert!(place(&registry, 1, 4).is_none());
    assert_eq!(cut(&places), [false; 4]);
}

#[tokio::test(start_paused = true)]
async fn waiting_connections_are_admitted_by_client_and_then_in_order() {
    let registry = registry();
    let places: Vec<Place> = (0..4).map(|_| place(&registry, 1, 4).unwrap()).collect();
    for place in &places {
        place.activity.begin(registry.now());
    }
    let mut order = Vec::new();
    let wait = |last: u8| {
        let registry = Arc::clone(&registry);
        tokio::spawn(async move { registry.place(ip(last), None, &limits(4)).await })
    };
    let (first, second) = (wait(1), wait(1));
    while registry.table.lock().waiting.len() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(registry.is_crowded());
    let other = place(&registry, 2, 4).expect("it has fewer than the one with four");
    drop(places);
    for waiting in [first, second] {
        order.push(waiting.await.unwrap().unwrap());
    }
    assert!(!registry.is_crowded() && !other.cut.is_cancelled());
    let ids: Vec<u64> = order.iter().map(|place| place.id).collect();
    assert!(ids.is_sorted(), "{ids:?}");
}

#[tokio::test]
async fn of_one_client_a_scrape_goes_before_what_came_earlier() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let registry = registry();
    let mut places: Vec<Place> = (0..2).map(|_| place(&registry, 1, 2).unwrap()).collect();
    for place in &places {
        place.activity.begin(registry.now());
    }
    let (admitted, mut order) = tokio::sync::mpsc::unbounded_channel();
    let mut clients = Vec::new();
    for head in [
        "GET /api/v1/query?query=up",
        "GET /metricsx",
        "GET /metrics HTTP/1.1",
    ] {
        let mut client = tokio::net::TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        client.write_all(head.as_bytes()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (registry, stream) = (Arc::clone(&registry), Arc::new(Stream::Tcp(stream)));
        let (admitted, waiting) = (admitted.clone(), registry.table.lock().waiting.len());
        let queue = Arc::clone(&registry);
        tokio::spawn(async move {
            let place = registry.place(ip(1), Some(&stream), &limits(2)).await;
            admitted.send((head, place)).ok();
        });
        while queue.table.lock().waiting.len() == waiting {
            tokio::task::yield_now().await;
        }
        clients.push(client);
    }
    let is_known = |registry: &Registry| {
        let table = registry.table.lock();
        table.waiting.values().any(|waiting| waiting.is_scrape)
    };
    while !is_known(&registry) {
        tokio::task::yield_now().await;
    }
    drop(places.pop());
    let (head, _place) = order.recv().await.unwrap();
    assert_eq!(head, "GET /metrics HTTP/1.1");
    drop(places);
    assert_eq!(order.recv().await.unwrap().0, "GET /api/v1/query?query=up");
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_and_fair_too() {
    let registry = registry();
    let places: Vec<Place> = (0..2).map(|_| place(&registry, 9, 2).unwrap()).collect();
    for place in &places {
        place.activity.begin(registry.now());
    }
    let wait = |last: u8| {
        let registry = Arc::clone(&registry);
        tokio::spawn(async move { registry.place(ip(last), None, &limits(2)).await })
    };
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let before = registry.table.lock().waiting.len();
        waiting.push(wait(9));
        while registry.table.lock().waiting.len() == before {
            tokio::task::yield_now().await;
        }
    }
    assert!(
        wait(9).await.unwrap().is_none(),
        "the client with the most is turned away"
    );
    let _place = wait(3).await.unwrap().expect("another is let in");
    assert_eq!(registry.table.lock().waiting.len(), 8);
}

#[tokio::test(start_paused = true)]
async fn other_requests_leave_places_for_scrapes() {
    let registry = registry();
    let under_way: Vec<_> = (0..14)
        .map(|_| registry.other_request(&limits(16)).unwrap())
        .collect();
    assert!(registry.other_request(&limits(16)).is_none());
    drop(under_way);
    assert!(registry.other_request(&limits(16)).is_some());
}

#[tokio::test(start_paused = true)]
async fn places_come_back_and_the_overdue_go() {
    let registry = registry();
    for _ in 0..100 {
        drop(place(&registry, 1, 8).unwrap());
    }
    assert_eq!(registry.stats.connections(), 0);
    let (slow, idle) = (
        place(&registry, 1, 8).unwrap(),
        place(&registry, 1, 8).unwrap(),
    );
    idle.activity.begin(0);
    idle.activity.end(0, 0);
    later(9000).await;
    registry.reap(&limits(8));
    assert!(!slow.cut.is_cancelled());
    later(1000).await;
    registry.reap(&limits(8));
    assert!(slow.cut.is_cancelled() && !idle.cut.is_cancelled());
    assert_eq!(registry.stats.closed_by_server()[&CloseReason::Header], 1);
    drop((slow, idle));
    assert!(registry.table.lock().held.is_empty());
}

#[tokio::test(start_paused = true)]
async fn checks_sleep_until_the_next_deadline() {
    let registry = registry();
    assert_eq!(registry.reap(&limits(8)), None, "no connection, no check");
    let mut occupied = by_hand(registry.occupied());
    assert!(occupied.is_pending());
    let idle = place(&registry, 1, 8).unwrap();
    assert!(occupied.is_ready());
    later(4000).await;
    let header = Some(Duration::from_secs(6));
    assert_eq!(registry.reap(&limits(8)), header);
    idle.activity.begin(registry.now());
    idle.activity.end(0, registry.now());
    let idle_timeout = Some(Duration::from_secs(300));
    assert_eq!(registry.reap(&limits(8)), idle_timeout);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_connection_wakes_the_admission() {
    let registry = registry();
    let mut crowded = by_hand(registry.crowded());
    let _open = place(&registry, 1, 1).unwrap();
    assert!(crowded.is_pending());
    let limits = limits(1);
    let mut waiting = std::pin::pin!(registry.place(ip(1), None, &limits));
    let mut context = Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    assert!(crowded.is_ready());
}

#[tokio::test(start_paused = true)]
async fn only_a_stuck_answer_makes_room_for_an_exposition() {
    let registry = registry();
    let second = Duration::from_secs(1);
    let quiet = place(&registry, 1, 8).unwrap();
    let stuck = place(&registry, 1, 8).unwrap();
    stuck.activity.begin(registry.now());
    stuck.activity.wrote(true, registry.now());
    registry.evict_stuck(second, ip(1).client());
    assert!(!stuck.cut.is_cancelled(), "not long enough");
    later(1000).await;
    let others: Vec<Place> = (0..3).map(|_| place(&registry, 2, 8).unwrap()).collect();
    registry.evict_stuck(second, ip(2).client());
    assert!(
        !stuck.cut.is_cancelled(),
        "its client has fewer connections"
    );
    drop(others);
    registry.evict_stuck(second, ip(2).client());
    assert!(stuck.cut.is_cancelled() && !quiet.cut.is_cancelled());
    registry.evict_longest_waiting();
    assert!(quiet.cut.is_cancelled());
}
