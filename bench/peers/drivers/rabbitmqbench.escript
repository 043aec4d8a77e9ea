%% Load on a RabbitMQ quorum queue from compiled clients: rabbitmqbench.escript PORT BYTES SECONDS WINDOW
%% Prints life cycles a second, jobs done, and jobs that were confirmed and never came.
-mode(compile).
-include_lib("amqp_client/include/amqp_client.hrl").

-define(QUEUE, <<"bench">>).
-define(CLIENTS, 2).
-define(PREFETCH, 256).
%% Places of the counters that all processes share.
-define(ENQUEUED, 1).
-define(DONE, 2).

-record(producer, {channel, counters, body, window, until}).

main(Arguments) ->
    [Port, Bytes, Seconds, Window] = [list_to_integer(Argument) || Argument <- Arguments],
    logger:set_primary_config(level, error),
    Counters = counters:new(2, [write_concurrency]),
    Clients = lists:seq(1, ?CLIENTS),
    [spawn_link(fun() -> work(channel(Port), Counters) end) || _ <- Clients],
    Producer = #producer{counters = Counters, body = binary:copy(<<"x">>, Bytes), window = Window,
                         until = erlang:monotonic_time(millisecond) + Seconds * 1000},
    Producers = [spawn_monitor(fun() -> produce(Producer#producer{channel = channel(Port)}) end) || _ <- Clients],
    timer:sleep(Seconds * 1000),
    Rate = counters:get(Counters, ?DONE) / Seconds,
    [receive {'DOWN', Monitor, process, _, normal} -> ok end || {_, Monitor} <- Producers],
    drained(Counters, 1000),
    io:format("~.1f ~b ~b~n", [Rate, counters:get(Counters, ?DONE), backlog(Counters)]).

channel(Port) ->
    {ok, Connection} = amqp_connection:start(#amqp_params_network{host = "127.0.0.1", port = Port}),
    {ok, Channel} = amqp_connection:open_channel(Connection),
    Channel.

backlog(Counters) -> counters:get(Counters, ?ENQUEUED) - counters:get(Counters, ?DONE).

%% Waits for the workers, ten milliseconds at a time.
drained(_, 0) -> ok;
drained(Counters, Times) ->
    case backlog(Counters) =< 0 of
        true -> ok;
        false -> timer:sleep(10), drained(Counters, Times - 1)
    end.

produce(#producer{channel = Channel} = Producer) ->
    #'confirm.select_ok'{} = amqp_channel:call(Channel, #'confirm.select'{}),
    ok = amqp_channel:register_confirm_handler(Channel, self()),
    produce(Producer, 1, gb_sets:new()).

%% Next: the number that the server gives to the next job. Waiting: the numbers of those not confirmed yet.
produce(#producer{counters = Counters, window = Window} = Producer, Next, Waiting) ->
    IsOver = erlang:monotonic_time(millisecond) >= Producer#producer.until,
    IsFull = gb_sets:size(Waiting) >= Window orelse backlog(Counters) >= 4 * Window * ?CLIENTS,
    if
        IsOver ->
            gb_sets:is_empty(Waiting) orelse produce(Producer, Next, confirms(Counters, Waiting, 10000));
        IsFull ->
            produce(Producer, Next, confirms(Counters, Waiting, 1));
        true ->
            Message = #amqp_msg{props = #'P_basic'{delivery_mode = 2}, payload = Producer#producer.body},
            amqp_channel:cast(Producer#producer.channel, #'basic.publish'{routing_key = ?QUEUE}, Message),
            produce(Producer, Next + 1, confirms(Counters, gb_sets:add(Next, Waiting), 0))
    end.

%% Takes the confirms that have come, or waits so many milliseconds for the first. Returns what is left.
confirms(Counters, Waiting, Milliseconds) ->
    receive
        #'basic.ack'{delivery_tag = Tag, multiple = Multiple} ->
            Left = if
                Multiple -> gb_sets:filter(fun(Each) -> Each > Tag end, Waiting);
                true -> gb_sets:del_element(Tag, Waiting)
            end,
            counters:add(Counters, ?ENQUEUED, gb_sets:size(Waiting) - gb_sets:size(Left)),
            confirms(Counters, Left, 0)
    after Milliseconds -> Waiting
    end.

work(Channel, Counters) ->
    #'basic.qos_ok'{} = amqp_channel:call(Channel, #'basic.qos'{prefetch_count = ?PREFETCH}),
    #'basic.consume_ok'{} = amqp_channel:subscribe(Channel, #'basic.consume'{queue = ?QUEUE}, self()),
    receive #'basic.consume_ok'{} -> ok end,
    work_on(Channel, Counters).

work_on(Channel, Counters) ->
    receive
        {#'basic.deliver'{delivery_tag = Tag}, _} ->
            amqp_channel:cast(Channel, #'basic.ack'{delivery_tag = Tag}),
            counters:add(Counters, ?DONE, 1),
            work_on(Channel, Counters)
    end.
