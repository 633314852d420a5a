/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.hook;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.vmguard.agent.guard.DomainGuard;
import io.vmguard.agent.guard.DomainView;
import io.vmguard.agent.guard.GuardView;
import io.vmguard.agent.hook.RawClient.Answer;
import io.vmguard.agent.stop.AgentStop;
import io.vmguard.agent.stop.RunningAgent;
import io.vmguard.agent.testing.FakeClock;
import io.vmguard.agent.testing.FakeHypervisor;
import io.vmguard.agent.testing.FakeLockspace;
import io.vmguard.agent.testing.FakeUpkeep;
import io.vmguard.agent.testing.GuardOfFakes;
import io.vmguard.agent.testing.SampleReport;
import io.vmguard.agent.testing.TestDomain;
import io.vmguard.agent.upkeep.AuditLog;
import io.vmguard.agent.upkeep.Upkeep;
import io.vmguard.lease.AcquireResult;
import io.vmguard.lease.LeaseFault;
import io.vmguard.lease.LockspaceView;
import io.vmguard.lease.device.linux.ReadOnlyDirectory;
import io.vmguard.lease.inspect.LeaseInspector;
import io.vmguard.lease.testing.Await;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.URLEncoder;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** docs/hook-api.md, said by a real server with a real guard on a real socket to a client that sends any bytes. */
@Timeout(60)
class HookServerTest {
    private static final TestDomain DEMO1 = TestDomain.of("demo1", "/images/one.qcow2");
    private static final TestDomain DEMO2 = TestDomain.of("demo2", "/images/one.qcow2");
    private static final Duration ANSWER_LIMIT = Duration.ofSeconds(30);

    @TempDir
    private Path dir;

    private final FakeClock clock = new FakeClock();
    private final FakeLockspace lockspace = new FakeLockspace();
    private final FakeHypervisor hypervisor = new FakeHypervisor();
    private final ExecutorService slowCalls = Executors.newCachedThreadPool();
    private final List<AutoCloseable> open = new ArrayList<>();
    private final HookCalls calls = new HookCalls(clock);
    private final AtomicInteger stops = new AtomicInteger();
    private Path socket = Path.of("");

    @BeforeEach
    void member() {
        socket = dir.resolve("run/agent.sock");
        lockspace.becomeMember();
    }

    @AfterEach
    void close() throws Exception {
        for (AutoCloseable closeable : open) {
            closeable.close();
        }
        slowCalls.shutdownNow();
    }

    private DomainGuard guard(boolean observe) {
        return GuardOfFakes.of(observe, ANSWER_LIMIT, lockspace, hypervisor, clock, slowCalls);
    }

    private UpkeepHandler upkeep() {
        return new UpkeepHandler(new Upkeep(
                lockspace,
                new FakeUpkeep(),
                new LeaseInspector(new ReadOnlyDirectory(dir, clock)),
                new AuditLog(dir.resolve("audit.log"), clock),
                clock,
                "node-a"));
    }

    private AgentStop stop(DomainGuard guard) {
        return new AgentStop(
                new RunningAgent() {
                    @Override
                    public List<DomainView> domains() {
                        return guard.view().domains();
                    }

                    @Override
                    public CompletableFuture<List<DomainView>> shut() {
                        return guard.shut().thenApply(GuardView::domains);
                    }

                    @Override
                    public void reopen() {
                        guard.reopen();
                    }

                    @Override
                    public LockspaceView lockspace() {
                        return lockspace.view();
                    }

                    @Override
                    public CompletableFuture<Optional<String>> disarm() {
                        return CompletableFuture.completedFuture(Optional.empty());
                    }

                    @Override
                    public void keepUsers() {}

                    @Override
                    public void standDown() {}
                },
                Duration.ofSeconds(1),
                stops::incrementAndGet);
    }

    private HookServer server(boolean observe) throws IOException {
        DomainGuard guard = guard(observe);
        guard.start();
        guard.joined(new io.vmguard.lease.Owner(1, 1), false);
        return serve(guard, observe, ANSWER_LIMIT);
    }

    private HookServer serve(DomainGuard guard, boolean observe, Duration answerLimit) throws IOException {
        HookHandler handler =
                new HookHandler(guard, TestDomain.BY_NAME, () -> SampleReport.of(true), calls, observe, answerLimit);
        HookServer server =
                new HookServer(socket, Optional.empty(), List.of(upkeep(), new StopHandler(stop(guard))), handler);
        server.start();
        open.add(server);
        open.add(guard);
        return server;
    }

    private static String post(String operation, String domain, String extraHeaders, String xml) {
        return "POST /v1/hook?operation=" + operation + "&domain="
                + URLEncoder.encode(domain, StandardCharsets.UTF_8).replace("+", "%20")
                + " HTTP/1.1\r\nHost: vmguard\r\n"
                + "Content-Type: application/xml\r\nContent-Length: "
                + xml.getBytes(StandardCharsets.UTF_8).length + "\r\n" + extraHeaders + "\r\n" + xml;
    }

    private static String prepare(TestDomain domain) {
        return post("prepare", domain.name(), "", domain.xml());
    }

    private Answer ask(String request) throws IOException {
        try (RawClient client = new RawClient(socket)) {
            return client.send(request).answer();
        }
    }

    // ---- answers

    @Test
    void grantedStartIs200WithAnEmptyBody() throws IOException {
        server(false);
        Answer answer = ask(prepare(DEMO1));
        assertThat(answer.status()).isEqualTo(200);
        assertThat(answer.body()).isEmpty();
        assertThat(answer.headers()).containsEntry("content-type", "text/plain;charset=utf-8");
        assertThat(lockspace.held()).containsExactly(DEMO1.resource());
    }

    @Test
    void refusedStartIs409WithOneLine() throws IOException {
        server(false);
        ask(prepare(DEMO1));
        Answer answer = ask(prepare(DEMO2));
        assertThat(answer.status()).isEqualTo(409);
        assertThat(answer.body())
                .startsWith("vmguard: vda (file:/images/one.qcow2) is in use by domain demo1 on host node-a")
                .endsWith("Not started. See: vmguard status\n");
        assertThat(answer.body().lines()).hasSize(1);
    }

    @Test
    void sameDecisionComesAsJsonWhenItIsAskedFor() throws IOException {
        server(false);
        Answer yes = ask(post("prepare", "demo1", "Accept: application/json\r\n", DEMO1.xml()));
        assertThat(yes.body()).isEqualTo("{\"decision\":\"granted\",\"message\":\"\"}\n");
        assertThat(yes.headers()).containsEntry("content-type", "application/json");
        Answer no = ask(post("prepare", "demo2", "Accept: text/html, application/json;q=0.9\r\n", DEMO2.xml()));
        JsonNode document = new ObjectMapper().readTree(no.body());
        assertThat(no.status()).isEqualTo(409);
        assertThat(document.get("decision").asText()).isEqualTo("refused");
        assertThat(document.get("message").asText()).startsWith("vda (file:/images/one.qcow2) is in use by");
        Answer bad = ask(post("prepare", "demo1", "Accept: application/json\r\n", "<domain>"));
        assertThat(bad.status()).isEqualTo(400);
        assertThat(new ObjectMapper().readTree(bad.body()).fieldNames())
                .toIterable()
                .containsExactly("message");
    }

    @Test
    void storageThatDoesNotSayIs503() throws IOException {
        server(false);
        lockspace.answer(DEMO1.resource(), new AcquireResult.CannotTell(LeaseFault.TIMED_OUT, "no answer", false));
        Answer answer = ask(post("prepare", "demo1", "Accept: application/json\r\n", DEMO1.xml()));
        assertThat(answer.status()).isEqualTo(503);
        assertThat(answer.body()).contains("\"decision\":\"undecided\"").contains("cannot tell whether it is free");
    }

    @Test
    void agentThatIsNotReadyIs503AtTheDeadline() throws Exception {
        DomainGuard guard = guard(false);
        guard.start();
        serve(guard, false, ANSWER_LIMIT);
        try (RawClient client = new RawClient(socket)) {
            client.send(prepare(DEMO1));
            CountDownLatch done = new CountDownLatch(1);
            Thread time = new Thread(
                    () -> { // the request may not be there yet when time passes
                        try {
                            while (!done.await(20, TimeUnit.MILLISECONDS)) {
                                clock.advance(Duration.ofSeconds(10));
                            }
                        } catch (InterruptedException e) {
                            Thread.currentThread().interrupt();
                        }
                    });
            time.start();
            Answer answer = client.answer();
            done.countDown();
            time.join();
            assertThat(answer.status()).isEqualTo(503);
            assertThat(answer.body()).contains("demo1: this host is not a member of the lease directory now");
        }
    }

    @Test
    void guardThatHangsIs503AndItsLateYesCountsForNothing() throws IOException {
        DomainGuard hanging = guard(false); // never started
        serve(hanging, false, Duration.ofMillis(200));
        Answer answer = ask(prepare(DEMO1));
        assertThat(answer.status()).isEqualTo(503);
        assertThat(answer.body()).contains("demo1: the lease agent could not decide in time");
        hanging.joined(new io.vmguard.lease.Owner(1, 1), false);
        hanging.close();
        assertThat(lockspace.held()).isEmpty();
    }

    @Test
    void observeAnswers200WithAWarning() throws IOException {
        server(true);
        ask(prepare(DEMO1));
        Answer taken = ask(prepare(DEMO2));
        assertThat(taken.status()).isEqualTo(200);
        assertThat(taken.body()).startsWith("vmguard: vda").contains("is in use by domain demo1");
        Answer migration = ask(post("migrate", "demo1", "", DEMO1.xml()));
        assertThat(migration.status()).isEqualTo(200);
        assertThat(migration.body()).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aProbeOfTheDoctorIsAnsweredAndNeverGrantedInAnyMode(boolean observe) throws IOException {
        server(observe);
        TestDomain probe = TestDomain.of(HookCalls.PROBE_PREFIX + "0123", "/no/such/disk");
        Answer answer = ask(prepare(probe));
        assertThat(answer.status()).isEqualTo(409);
        assertThat(answer.body()).startsWith("vmguard: " + HookCalls.PROBE_ANSWER);
        assertThat(ask(post("release", probe.name(), "", probe.xml())).status()).isEqualTo(200);
        assertThat(lockspace.held()).isEmpty();
        assertThat(calls.count()).isEqualTo(2);
        assertThat(calls.wouldHaveBeenRefused()).isZero();
        clock.advance(Duration.ofSeconds(7));
        assertThat(calls.lastAgo().orElseThrow()).isBetween(Duration.ofSeconds(7), Duration.ofSeconds(8));
    }

    @Test
    void whatObserveLetsThroughWithoutTheGuardIsCountedToo() throws IOException {
        DomainGuard hanging = guard(true); // never started
        serve(hanging, true, Duration.ofMillis(200));
        assertThat(calls.lastAgo()).isEmpty();
        assertThat(ask(prepare(DEMO1)).status()).isEqualTo(200);
        assertThat(ask(post("prepare", "demo1", "", "<domain>")).status()).isEqualTo(200);
        assertThat(calls.wouldHaveBeenRefused()).isEqualTo(2);
    }

    @Test
    void incomingMigrationIsAnnouncedUnderAnyName() throws IOException {
        server(false);
        Answer answer = ask(post("migrate", "another-name", "", DEMO1.xml()));
        assertThat(answer.status()).isEqualTo(200);
        Answer start = ask(prepare(DEMO1));
        assertThat(start.status())
                .as("its leases are free: nobody guards it where it comes from")
                .isEqualTo(409);
        assertThat(start.body()).contains("allow_unguarded_migration");
        assertThat(ask(prepare(DEMO1)).status())
                .as("an announcement is good for one start")
                .isEqualTo(200);
    }

    @ParameterizedTest
    @ValueSource(strings = {"start", "started", "stopped", "restore", "attach", "no-such-thing"})
    void otherOperationsAre200AndChangeNothing(String operation) throws IOException {
        server(false);
        Answer answer = ask(post(operation, "demo1", "", "not even XML"));
        assertThat(answer.status()).isEqualTo(200);
        assertThat(answer.body()).isEmpty();
        assertThat(lockspace.held()).isEmpty();
    }

    @Test
    void releaseAndReconnectAre200AndMakeTheGuardLook() throws Exception {
        server(false);
        ask(prepare(DEMO1));
        int before = hypervisor.lists();
        assertThat(ask(post("release", "demo1", "", DEMO1.xml())).status()).isEqualTo(200);
        awaitLists(before + 1);
        assertThat(ask(post("reconnect", "demo1", "", DEMO1.xml())).status()).isEqualTo(200);
        awaitLists(before + 2);
    }

    private void awaitLists(int count) throws InterruptedException {
        CountDownLatch never = new CountDownLatch(1);
        while (hypervisor.lists() < count) { // bounded by the test's limit
            assertThat(never.await(5, TimeUnit.MILLISECONDS)).isFalse();
        }
    }

    // ---- bad requests

    @ParameterizedTest
    @ValueSource(
            strings = {
                "GET /v1/hook?operation=prepare",
                "POST /v1/status",
                "DELETE /v1/status",
                "GET /",
                "GET /v2/status",
                "POST /v1/hook",
                "POST /v1/hook?domain=demo1"
            })
    void whatIsNotInTheApiIs400(String request) throws IOException {
        server(false);
        Answer answer = ask(request + " HTTP/1.1\r\nHost: vmguard\r\nContent-Length: 0\r\n\r\n");
        assertThat(answer.status()).isEqualTo(400);
        assertThat(answer.body()).startsWith("vmguard: ");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "<domain>                       | 1:9:",
                "not XML                        | 1:1:",
                "''                             | 1:1:",
                "<network/>                     | the root element is neither",
                "<domain><name>demo1</name></domain> | has no uuid",
            })
    void uselessXmlIs400AndSaysWhere(String xml, String says) throws IOException {
        server(false);
        Answer answer = ask(post("prepare", "demo1", "", xml));
        assertThat(answer.status()).isEqualTo(400);
        assertThat(answer.body()).contains(says);
    }

    @Test
    void externalEntitiesAreNotReadButRefused() throws IOException {
        server(false);
        Path secret = Files.writeString(dir.resolve("secret"), "top-secret");
        String xml =
                "<!DOCTYPE domain [<!ENTITY x SYSTEM \"" + secret.toUri() + "\">]><domain><name>&x;</name></domain>";
        Answer answer = ask(post("prepare", "demo1", "", xml));
        assertThat(answer.status()).isEqualTo(400);
        assertThat(answer.body()).doesNotContain("top-secret");
    }

    @Test
    void xmlOfAnotherDomainIs400() throws IOException {
        server(false);
        Answer answer = ask(post("prepare", "demo\n2", "", DEMO1.xml()));
        assertThat(answer.status()).isEqualTo(400);
        assertThat(answer.body()).isEqualTo("vmguard: the domain XML is of demo1, not of demo\\n2\n");
    }

    @Test
    void nameMayBeEncodedByteByByteOrLeftOut() throws IOException {
        server(false);
        TestDomain odd = TestDomain.of("d\u00e9mo +%&=?\u20ac", "/x");
        String xml = odd.xml().replace("&", "&amp;");
        StringBuilder encoded = new StringBuilder();
        for (byte b : odd.name().getBytes(StandardCharsets.UTF_8)) {
            encoded.append(String.format("%%%02X", b));
        }
        String request = post("prepare", "NAME", "", xml);
        assertThat(ask(request.replace("NAME", encoded.toString())).status()).isEqualTo(200);
        assertThat(ask(prepare(DEMO1).replace("&domain=demo1", "")).status()).isEqualTo(200);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "hello\r\n\r\n",
                "GET\r\n\r\n",
                "GET /v1/status HTTP/9.9\r\n\r\n",
                "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003\r\n\r\n",
                "POST /v1/hook?operation=prepare&domain=%zz HTTP/1.1\r\nHost: v\r\nContent-Length: 0\r\n\r\n",
                "POST /v1/hook?operation=prepare HTTP/1.1\r\nHost: v\r\nContent-Length: -1\r\n\r\n",
                "POST /v1/hook?operation=prepare HTTP/1.1\r\nHost: v\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"
            })
    void garbageIsAnsweredAndTheServerGoesOn(String garbage) throws IOException {
        server(false);
        Answer answer = ask(garbage);
        assertThat(answer.status()).isBetween(400, 505);
        assertThat(answer.body()).startsWith("vmguard: ").endsWith("\n");
        assertThat(ask(prepare(DEMO1)).status()).isEqualTo(200);
    }

    @Test
    void endlessHeaderIsNotReadForEver() throws IOException {
        server(false);
        try (RawClient client = new RawClient(socket)) {
            client.send("GET /v1/status HTTP/1.1\r\nHost: v\r\nX: " + "x".repeat(9000));
            assertThat(client.answer().status()).isEqualTo(431);
        }
    }

    @Test
    void missingContentLengthIs400() throws IOException {
        server(false);
        String chunked = "POST /v1/hook?operation=prepare HTTP/1.1\r\nHost: v\r\nTransfer-Encoding: chunked\r\n\r\n"
                + Integer.toHexString(DEMO1.xml().length()) + "\r\n" + DEMO1.xml() + "\r\n0\r\n\r\n";
        Answer answer = ask(chunked);
        assertThat(answer.status()).isEqualTo(400);
        assertThat(answer.body()).contains("Content-Length is missing");
        assertThat(ask("POST /v1/hook?operation=prepare HTTP/1.0\r\n\r\n" + DEMO1.xml())
                        .status())
                .isEqualTo(400);
        assertThat(lockspace.held()).isEmpty();
    }

    // ---- size

    @Test
    void tooLargeABodyIs413WithoutBeingRead() throws IOException {
        server(false);
        try (RawClient client = new RawClient(socket)) {
            client.send("POST /v1/hook?operation=prepare HTTP/1.1\r\nHost: v\r\nContent-Length: 4194305\r\n\r\n");
            Answer answer = client.answer();
            assertThat(answer.status()).isEqualTo(413);
            assertThat(answer.body()).contains("larger than 4194304 bytes");
            assertThat(client.closed())
                    .as("the rest cannot be told from a request")
                    .isTrue();
        }
    }

    @Test
    void fiftyMegabytesAreNotSwallowed() throws IOException {
        server(false);
        try (RawClient client = new RawClient(socket)) {
            client.send(
                    "POST /v1/hook?operation=prepare HTTP/1.1\r\nHost: v\r\nContent-Length: 52428800\r\n\r\n<domain>");
            assertThat(client.answer().status()).isEqualTo(413);
            byte[] more = new byte[1 << 20];
            assertThatThrownBy(() -> {
                        for (int i = 0; i < 50; i++) {
                            client.send(more);
                        }
                    })
                    .isInstanceOf(IOException.class);
        }
    }

    @Test
    void fourMebibytesAreTaken() throws IOException {
        server(false);
        String xml = DEMO1.xml() + " ".repeat(4194304 - DEMO1.xml().length());
        assertThat(ask(post("prepare", "demo1", "", xml)).status()).isEqualTo(200);
    }

    @Test
    void longMessagesAreCutToALineOf1024Bytes() throws IOException {
        server(false);
        TestDomain deep = TestDomain.of("deep", "/" + "\u20ac".repeat(1200));
        lockspace.answer(deep.resource(), FakeLockspace.heldByNodeB("demo9"));
        Answer answer = ask(prepare(deep));
        assertThat(answer.status()).isEqualTo(409);
        assertThat(answer.body().getBytes(StandardCharsets.UTF_8)).hasSizeBetween(1000, 1024);
        assertThat(answer.body()).startsWith("vmguard: vda").endsWith("...\n").doesNotContain("\uFFFD");
    }

    @Test
    void controlCharactersOfANameDoNotGetThrough() throws IOException {
        server(false);
        TestDomain evil = TestDomain.of("a\u009b2Jb\u202e", "/images/one.qcow2", "pool:x");
        Answer answer = ask(prepare(evil));
        assertThat(answer.status()).isEqualTo(409);
        Answer busy = ask(post("migrate", evil.name(), "", evil.xml()));
        assertThat(answer.body() + busy.body()).doesNotContainPattern("[\\p{Cc}\\p{Cf}&&[^\n]]");
    }

    // ---- connections

    @Test
    void http10ConnectionIsClosedAfterTheAnswer() throws IOException {
        server(false);
        try (RawClient client = new RawClient(socket)) {
            client.send(prepare(DEMO1).replace("HTTP/1.1", "HTTP/1.0"));
            assertThat(client.answer().status()).isEqualTo(200);
            assertThat(client.closed()).isTrue();
        }
    }

    @Test
    void http11ConnectionServesOneRequestAfterTheOther() throws IOException {
        server(false);
        try (RawClient client = new RawClient(socket)) {
            assertThat(client.send(prepare(DEMO1)).answer().status()).isEqualTo(200);
            assertThat(client.send(prepare(DEMO2)).answer().status()).isEqualTo(409);
            assertThat(client.send(post("stopped", "demo1", "", DEMO1.xml()))
                            .answer()
                            .status())
                    .isEqualTo(200);
            assertThat(client.send("GET /v1/status HTTP/1.1\r\nHost: v\r\n\r\n")
                            .answer()
                            .status())
                    .isEqualTo(200);
        }
    }

    @Test
    void clientThatGoesAwayInTheMiddleHarmsNobody() throws IOException {
        server(false);
        String request = prepare(DEMO1);
        for (int length = 1; length < request.length(); length += 37) {
            try (RawClient client = new RawClient(socket)) {
                client.send(request.substring(0, length));
            }
        }
        assertThat(ask(prepare(DEMO1)).status()).isEqualTo(200);
    }

    @Test
    void slowClientsDoNotKeepOthersWaiting() throws IOException {
        server(false);
        List<RawClient> slow = new ArrayList<>();
        try {
            for (int i = 0; i < 60; i++) {
                RawClient client = new RawClient(socket);
                slow.add(client.send(i % 2 == 0 ? "POST /v1/ho" : prepare(DEMO2).substring(0, 200)));
            }
            assertThat(ask("GET /v1/status HTTP/1.1\r\nHost: v\r\n\r\n").status())
                    .isEqualTo(200);
            assertThat(ask(prepare(DEMO1)).status()).isEqualTo(200);
        } finally {
            for (RawClient client : slow) {
                client.close();
            }
        }
    }

    @Test
    void startsThatWaitDoNotKeepStatusWaiting() throws IOException {
        DomainGuard guard = guard(false);
        guard.start(); // no member: starts wait
        serve(guard, false, ANSWER_LIMIT);
        List<RawClient> waiting = new ArrayList<>();
        try {
            for (int i = 0; i < 60; i++) {
                waiting.add(new RawClient(socket).send(prepare(TestDomain.of("demo" + i, "/images/" + i))));
            }
            assertThat(ask("GET /v1/status HTTP/1.1\r\nHost: v\r\n\r\n").status())
                    .isEqualTo(200);
            guard.joined(new io.vmguard.lease.Owner(1, 1), false);
            for (RawClient client : waiting) {
                assertThat(client.answer().status()).isEqualTo(200);
            }
        } finally {
            for (RawClient client : waiting) {
                client.close();
            }
        }
    }

    // ---- status

    @Test
    void statusIsTheReportAsJson() throws IOException {
        server(false);
        Answer answer = ask("GET /v1/status HTTP/1.1\r\nHost: vmguard\r\n\r\n");
        assertThat(answer.headers()).containsEntry("content-type", "application/json");
        ObjectMapper json = new ObjectMapper();
        assertThat(json.readTree(answer.body()).toString())
                .isEqualTo(json.valueToTree(SampleReport.of(true)).toString());
    }

    @Test
    void ourOwnClientReadsIt() throws IOException {
        server(false);
        assertThat(new AgentClient(socket, Duration.ofSeconds(10)).get("/v1/status"))
                .contains("\"name\":\"demo1\"");
        assertThatThrownBy(() -> new AgentClient(socket, Duration.ofSeconds(10)).get("/nothing"))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("the agent says HTTP/1.1 400");
    }

    // ---- the socket

    @Test
    void socketAdmitsOwnerAndGroupOnlyAndItsDirectoryIsClosedToOthers() throws IOException {
        server(false);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)))
                .isEqualTo("rw-rw----");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket.getParent())))
                .isEqualTo("rwxr-x---");
    }

    @Test
    void socketThatADeadAgentLeftIsReplaced() throws IOException {
        Files.createDirectories(socket.getParent());
        try (ServerSocketChannel dead = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            dead.bind(UnixDomainSocketAddress.of(socket));
        }
        assertThat(socket).exists();
        server(false);
        assertThat(ask(prepare(DEMO1)).status()).isEqualTo(200);
    }

    @Test
    void closingTakesTheSocketAway() throws IOException {
        HookServer server = server(false);
        server.close();
        assertThat(socket).doesNotExist();
    }

    @Test
    void stopWithoutAChoiceIs400() throws IOException {
        server(false);
        Answer answer = ask("POST /v1/stop HTTP/1.1\r\nHost: v\r\nContent-Length: 0\r\n\r\n");
        assertThat(answer.status()).isEqualTo(400);
        assertThat(answer.body()).contains("\"outcome\":\"bad_request\"", "keep or release");
        assertThat(stops).hasValue(0);
    }

    @Test
    void stopThatIsRefusedIs409WithTheDomainsInTheWay() throws IOException {
        server(false);
        ask(prepare(DEMO1));
        Answer answer = ask("POST /v1/stop?domains=release HTTP/1.1\r\nHost: v\r\nContent-Length: 0\r\n\r\n");
        assertThat(answer.status()).isEqualTo(409);
        JsonNode document = new ObjectMapper().readTree(answer.body());
        assertThat(document.get("outcome").asText()).isEqualTo("refused");
        assertThat(document.get("domains")).hasToString("[\"demo1\"]");
        assertThat(stops).hasValue(0);
    }

    @Test
    void stopThatKeepsTheDomainsIs200AndEndsTheAgentAfterItsAnswer() throws IOException {
        server(false);
        ask(prepare(DEMO1));
        Answer answer = ask("POST /v1/stop?domains=keep HTTP/1.1\r\nHost: v\r\nContent-Length: 0\r\n\r\n");
        assertThat(answer.status()).isEqualTo(200);
        JsonNode document = new ObjectMapper().readTree(answer.body());
        assertThat(document.get("outcome").asText()).isEqualTo("stopping");
        assertThat(document.get("pid").asLong())
                .isEqualTo(ProcessHandle.current().pid());
        assertThat(document.get("message").asText()).contains("NOBODY GUARDS", "demo1");
        Await.until("the agent to be told to end", Duration.ofSeconds(10), () -> stops.get() == 1);
        assertThat(ask(prepare(DEMO2)).status()).isEqualTo(503);
    }

    @Test
    void placeWhereNobodyCanListenIsNamed() throws IOException {
        Files.createDirectories(socket);
        Files.writeString(socket.resolve("in-the-way"), "");
        HookServer server = new HookServer(
                socket,
                Optional.empty(),
                List.of(upkeep()),
                new HookHandler(
                        guard(false),
                        TestDomain.BY_NAME,
                        () -> SampleReport.of(true),
                        new HookCalls(new FakeClock()),
                        false,
                        ANSWER_LIMIT));
        assertThatThrownBy(server::start)
                .isInstanceOf(IOException.class)
                .hasMessageContaining("cannot listen on " + socket);
    }

    @Test
    void groupThatDoesNotExistIsNamed() {
        HookServer server = new HookServer(
                socket,
                Optional.of("no-such-group"),
                List.of(upkeep()),
                new HookHandler(
                        guard(false),
                        TestDomain.BY_NAME,
                        () -> SampleReport.of(true),
                        new HookCalls(new FakeClock()),
                        false,
                        ANSWER_LIMIT));
        open.add(server);
        assertThatThrownBy(server::start).isInstanceOf(IOException.class).hasMessageContaining("no-such-group");
        assertThat(socket).as("nobody listens then").doesNotExist();
    }
}
