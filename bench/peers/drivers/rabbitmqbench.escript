%% Load on a RabbitMQ quorum queue from compiled clients.
%%   light PORT BYTES: prints how long confirms of 300 publishes take, 50 a second, as a list of microseconds
%%   full PORT BYTES SECONDS WINDOW: prints life cycles a second, jobs done, and jobs that were confirmed and never came
-mode(compile).
-include_lib("amqp_client/include/amqp_client.hrl").

-define(QUEUE, <<"bench">>).
-define(CLIENTS, 2).
-define(PREFETCH, 256).
%% Places of the counters that all processes share.
-define(ENQUEUED, 1).
-define(DONE, 2).

main([Kind | Numbers]) ->
    logger:set_primary_config(level, error),
    [Port, Bytes | More] = [list_to_integer(Number) || Number <- Numbers],
    Body = binary:copy(<<"x">>, Bytes),
    case {Kind, More} of
        {"light", []} -> light(channel(Port), Body);
        {"full", [Seconds, Window]} -> full(Port, Body, Seconds, Window)
    end.

light(Channel, Body) ->
    confirmed(Channel),
    Times = [light_one(Channel, Body) || _ <- lists:seq(1, 300)],
    #'queue.purge_ok'{} = amqp_channel:call(Channel, #'queue.purge'{queue = ?QUEUE}),
    io:format("~w~n", [Times]).

light_one(Channel, Body) ->
    Start = now_us(),
    publish(Channel, Body),
    receive #'basic.ack'{} -> ok end,
    Time = now_us() - Start,
    timer:sleep(max(0, 20 - Time div 1000)),
    Time.

full(Port, Body, Seconds, Window) ->
    Counters = counters:new(2, [write_concurrency]),
    Clients = lists:seq(1, ?CLIENTS),
    [spawn_link(fun() -> work(channel(Port), Counters) end) || _ <- Clients],
    Until = now_us() + Seconds * 1000000,
    Producers = [spawn_monitor(fun() -> produce(channel(Port), Counters, Body, Window, Until) end) || _ <- Clients],
    timer:sleep(Seconds * 1000),
    Rate = counters:get(Counters, ?DONE) / Seconds,
    [receive {'DOWN', Monitor, process, _, normal} -> ok end || {_, Monitor} <- Producers],
    Enqueued = counters:get(Counters, ?ENQUEUED),
    drained(Counters, Enqueued),
    Done = counters:get(Counters, ?DONE),
    io:format("~.1f ~b ~b~n", [Rate, Done, Enqueued - Done]).

channel(Port) ->
    {ok, Connection} = amqp_connection:start(#amqp_params_network{host = "127.0.0.1", port = Port}),
    {ok, Channel} = amqp_connection:open_channel(Connection),
    Channel.

publish(Channel, Body) ->
    Message = #amqp_msg{props = #'P_basic'{delivery_mode = 2}, payload = Body},
    amqp_channel:cast(Channel, #'basic.publish'{routing_key = ?QUEUE}, Message).

confirmed(Channel) ->
    #'confirm.select_ok'{} = amqp_channel:call(Channel, #'confirm.select'{}),
    ok = amqp_channel:register_confirm_handler(Channel, self()).

%% One connection with up to Window unconfirmed jobs.
produce(Channel, Counters, Body, Window, Until) ->
    confirmed(Channel),
    produce(Channel, Counters, Body, Window, Until, 1, gb_sets:new()).

produce(Channel, Counters, Body, Window, Until, Next, Waiting) ->
    Backlog = counters:get(Counters, ?ENQUEUED) - counters:get(Counters, ?DONE),
    Over = now_us() >= Until,
    Free = gb_sets:size(Waiting) < Window andalso Backlog < 4 * Window * ?CLIENTS,
    if
        Over, Next =:= 1 -> ok;
        Over -> counters:add(Counters, ?ENQUEUED, finish(Waiting));
        Free ->
            publish(Channel, Body),
            Left = answers(gb_sets:add(Next, Waiting), 0),
            counters:add(Counters, ?ENQUEUED, gb_sets:size(Waiting) + 1 - gb_sets:size(Left)),
            produce(Channel, Counters, Body, Window, Until, Next + 1, Left);
        true ->
            Left = answers(Waiting, 1),
            counters:add(Counters, ?ENQUEUED, gb_sets:size(Waiting) - gb_sets:size(Left)),
            produce(Channel, Counters, Body, Window, Until, Next, Left)
    end.

%% Takes the confirms that have come, or the first within so many milliseconds.
answers(Waiting, Milliseconds) ->
    receive
        #'basic.ack'{delivery_tag = Tag, multiple = false} -> answers(gb_sets:del_element(Tag, Waiting), 0);
        #'basic.ack'{delivery_tag = Tag} -> answers(gb_sets:filter(fun(T) -> T > Tag end, Waiting), 0)
    after Milliseconds -> Waiting
    end.

%% Waits for the last confirms and says how many there were.
finish(Waiting) ->
    case gb_sets:is_empty(Waiting) of
        true -> 0;
        false ->
            Left = answers(Waiting, 10000),
            gb_sets:size(Waiting) - gb_sets:size(Left) + finish(Left)
    end.

work(Channel, Counters) ->
    #'basic.qos_ok'{} = amqp_channel:call(Channel, #'basic.qos'{prefetch_count = ?PREFETCH}),
    #'basic.consume_ok'{} = amqp_channel:subscribe(Channel, #'basic.consume'{queue = ?QUEUE}, self()),
    work_on(Channel, Counters).

work_on(Channel, Counters) ->
    receive
        {#'basic.deliver'{delivery_tag = Tag}, _} ->
            amqp_channel:cast(Channel, #'basic.ack'{delivery_tag = Tag}),
            counters:add(Counters, ?DONE, 1);
        _ -> ok
    end,
    work_on(Channel, Counters).

%% Waits, ten seconds at most, until so many are done.
drained(Counters, Jobs) -> drained(Counters, Jobs, 1000).

drained(_, _, 0) -> ok;
drained(Counters, Jobs, Times) ->
    case counters:get(Counters, ?DONE) >= Jobs of
        true -> ok;
        false -> timer:sleep(10), drained(Counters, Jobs, Times - 1)
    end.

now_us() -> erlang:monotonic_time(microsecond).
