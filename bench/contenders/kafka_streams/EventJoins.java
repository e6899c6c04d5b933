import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.JoinWindows;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.StreamJoined;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/** The joins of the bench in the DSL of Kafka Streams; settings are named in event_joins.py. */
public final class EventJoins {
    private static final AtomicBoolean FIRST = new AtomicBoolean();
    private static final Serde<String> KEY = Serdes.String();
    private static final Serde<Long> NUMBER = Serdes.Long();
    private static final Serde<byte[]> BYTES = Serdes.ByteArray();
    private static final int MEMBER = 17;

    private final Map<String, String> told;
    private final StreamsBuilder builder = new StreamsBuilder();
    private final Duration size;
    private final Duration disorder;

    private EventJoins(Map<String, String> told) {
        this.told = told;
        size = Duration.ofMillis(Long.parseLong(told.get("size_ms")));
        disorder = Duration.ofMillis(Long.parseLong(told.get("disorder_ms")));
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> told = new HashMap<>();
        for (String argument : arguments) {
            int at = argument.indexOf('=');
            told.put(argument.substring(0, at), argument.substring(at + 1));
        }
        new EventJoins(told).run();
    }

    // Inputs ---------------------------------------------------------------------------------

    /** The number in an Avro value: frame, key, zigzag varint. */
    private static Long number(String topic, byte[] data) {
        if (FIRST.compareAndSet(false, true)) {
            System.out.println("first");
        }
        ByteBuffer in = ByteBuffer.wrap(data, 5, data.length - 5);
        int length = (int) varint(in);
        in.position(in.position() + length);
        return varint(in);
    }

    private static long varint(ByteBuffer in) {
        long found = 0;
        for (int shift = 0; ; shift += 7) {
            byte part = in.get();
            found |= (long) (part & 0x7f) << shift;
            if (part >= 0) {
                return (found >>> 1) ^ -(found & 1);
            }
        }
    }

    private Consumed<String, Long> facts() {
        Deserializer<Long> read = EventJoins::number;
        return Consumed.with(KEY, Serdes.serdeFrom(NUMBER.serializer(), read));
    }

    private KStream<String, Long> side(String name) {
        return builder.stream(told.get("input." + name), facts());
    }

    /** The side with its time in the value: side, time, number. */
    private KStream<String, byte[]> members(String name) {
        byte mark = (byte) name.charAt(0);
        return side(name).processValues(() -> new FixedKeyProcessor<String, Long, byte[]>() {
            private FixedKeyProcessorContext<String, byte[]> context;

            @Override
            public void init(FixedKeyProcessorContext<String, byte[]> given) {
                context = given;
            }

            @Override
            public void process(FixedKeyRecord<String, Long> one) {
                ByteBuffer out = ByteBuffer.allocate(MEMBER);
                out.put(mark).putLong(one.timestamp()).putLong(one.value());
                context.forward(one.withValue(out.array()));
            }
        });
    }

    private static long time(byte[] member) {
        return ByteBuffer.wrap(member).getLong(1);
    }

    private static long n(byte[] member) {
        return ByteBuffer.wrap(member).getLong(9);
    }

    // Cases ----------------------------------------------------------------------------------

    private KStream<String, String> interval(boolean left) {
        JoinWindows near = JoinWindows.ofTimeDifferenceAndGrace(size, disorder);
        StreamJoined<String, Long, Long> serdes = StreamJoined.with(KEY, NUMBER, NUMBER);
        KStream<String, Long> one = side("left");
        return left
                ? one.leftJoin(side("right"), EventJoins::pair, near, serdes)
                : one.join(side("right"), EventJoins::pair, near, serdes);
    }

    private static String pair(Long left, Long right) {
        return "[" + left + "," + right + "]";
    }

    private KStream<String, String> asof() {
        KTable<String, byte[]> table = members("right").toTable(versioned(BYTES));
        return members("left").leftJoin(
                table,
                (l, r) -> {
                    boolean fits = r != null && time(l) - time(r) <= size.toMillis();
                    return "[" + n(l) + "," + (fits ? n(r) : "null") + "]";
                },
                Joined.<String, byte[], byte[]>with(KEY, BYTES, BYTES).withGracePeriod(disorder));
    }

    private KStream<String, String> lookup() {
        KTable<String, Long> table = side("right").toTable(versioned(NUMBER));
        return side("left").join(
                table,
                EventJoins::pair,
                Joined.<String, Long, Long>with(KEY, NUMBER, NUMBER).withGracePeriod(disorder));
    }

    private <V> Materialized<String, V, KeyValueStore<Bytes, byte[]>> versioned(Serde<V> values) {
        Duration history = size.plus(disorder).multipliedBy(2);
        return Materialized.<String, V>as(Stores.persistentVersionedKeyValueStore("right", history))
                .withKeySerde(KEY)
                .withValueSerde(values);
    }

    private KStream<String, String> windows(boolean totals) {
        KStream<String, byte[]> all =
                totals ? members("left") : members("a").merge(members("b")).merge(members("c"));
        return all.groupByKey(Grouped.with(KEY, BYTES))
                .windowedBy(TimeWindows.ofSizeAndGrace(size, disorder))
                .emitStrategy(EmitStrategy.onWindowClose())
                .aggregate(
                        () -> new byte[totals ? 16 : 0],
                        (key, value, so) -> totals ? added(so, value) : appended(so, value),
                        Materialized.<String, byte[], WindowStore<Bytes, byte[]>>with(KEY, BYTES)
                                .withRetention(size.multipliedBy(6)))
                .toStream()
                .map((window, so) -> KeyValue.pair(
                        window.key(),
                        "[\"" + window.key() + "\"," + window.window().start() + ","
                                + (totals ? sums(so) : lists(so)) + "]"));
    }

    private static byte[] added(byte[] so, byte[] member) {
        ByteBuffer old = ByteBuffer.wrap(so);
        long count = old.getLong() + 1;
        return ByteBuffer.allocate(16).putLong(count).putLong(old.getLong() + n(member)).array();
    }

    private static String sums(byte[] so) {
        ByteBuffer found = ByteBuffer.wrap(so);
        return found.getLong() + "," + found.getLong();
    }

    private static byte[] appended(byte[] so, byte[] member) {
        byte[] made = Arrays.copyOf(so, so.length + MEMBER);
        System.arraycopy(member, 0, made, so.length, MEMBER);
        return made;
    }

    private static String lists(byte[] so) {
        List<byte[]> members = new ArrayList<>();
        for (int at = 0; at < so.length; at += MEMBER) {
            members.add(Arrays.copyOfRange(so, at, at + MEMBER));
        }
        members.sort(Comparator.comparingLong(EventJoins::time));
        StringBuilder out = new StringBuilder();
        for (char side : new char[] {'a', 'b', 'c'}) {
            List<String> numbers = new ArrayList<>();
            members.stream().filter(m -> m[0] == side).forEach(m -> numbers.add("" + n(m)));
            out.append(side == 'a' ? "" : ",").append("[").append(String.join(",", numbers));
            out.append("]");
        }
        return out.toString();
    }

    // Running --------------------------------------------------------------------------------

    private void run() throws Exception {
        KStream<String, String> rows = switch (told.get("case")) {
            case "interval_inner" -> interval(false);
            case "interval_left" -> interval(true);
            case "asof" -> asof();
            case "lookup" -> lookup();
            case "window_count_sum" -> windows(true);
            default -> windows(false);
        };
        rows.to(told.get("output"), Produced.with(KEY, Serdes.String()));
        try (KafkaStreams streams = new KafkaStreams(builder.build(), properties());
                Admin admin = Admin.create(Map.<String, Object>of(
                        "bootstrap.servers", told.get("bootstrap")))) {
            streams.start();
            until(admin, Long.parseLong(told.get("events")), streams);
            System.out.println("done");
            flush(admin, streams);
        }
        System.out.println("closed");
    }

    private Properties properties() {
        Properties found = new Properties();
        found.put(StreamsConfig.APPLICATION_ID_CONFIG, told.get("name"));
        found.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, told.get("bootstrap"));
        found.put(StreamsConfig.STATE_DIR_CONFIG, told.get("folder") + "/state");
        found.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        found.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        found.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        found.put("auto.offset.reset", "earliest");
        return found;
    }

    /** Waits until committed positions of the inputs cover so many events. */
    private void until(Admin admin, long events, KafkaStreams streams) throws Exception {
        while (committed(admin) < events) {
            if (streams.state() == KafkaStreams.State.ERROR) {
                throw new IllegalStateException("the stream thread has died");
            }
            Thread.sleep(50);
        }
    }

    private long committed(Admin admin) throws Exception {
        long sum = 0;
        var offsets = admin.listConsumerGroupOffsets(told.get("name"))
                .partitionsToOffsetAndMetadata().get();
        for (var entry : offsets.entrySet()) {
            if (told.containsValue(entry.getKey().topic()) && entry.getValue() != null) {
                sum += entry.getValue().offset();
            }
        }
        return sum;
    }

    /** What a window's end makes certain is looked for once a second only, when a record comes. */
    private void flush(Admin admin, KafkaStreams streams) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", told.get("bootstrap"));
        try (var pokes = new KafkaProducer<>(
                config, KEY.serializer(), Serdes.ByteArray().serializer())) {
            long events = committed(admin);
            for (int round = 0; round < 2; round++) {
                Thread.sleep(1200);
                for (var entry : told.entrySet()) {
                    if (entry.getKey().startsWith("last.")) {
                        events += 1;
                        poke(pokes, entry.getValue());
                    }
                }
                pokes.flush();
                until(admin, events, streams);
            }
        }
    }

    /** The last record of a partition once more: topic, partition, time, key. */
    private static void poke(KafkaProducer<String, byte[]> pokes, String last) {
        String[] parts = last.split(" ");
        byte[] key = parts[3].getBytes(StandardCharsets.UTF_8);
        ByteBuffer value = ByteBuffer.allocate(7 + key.length);
        value.put(new byte[5]).put((byte) (key.length << 1)).put(key).put((byte) 1);
        pokes.send(new ProducerRecord<>(
                parts[0], Integer.parseInt(parts[1]), Long.parseLong(parts[2]), parts[3],
                value.array()));
    }
}
