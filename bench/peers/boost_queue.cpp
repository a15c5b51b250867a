/* boost_queue.cpp - Boost.Interprocess message_queue. */
#include "harness/loops.h"

#include <boost/interprocess/ipc/message_queue.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <unistd.h>

using boost::interprocess::message_queue;

namespace
{

struct link_state {
    std::unique_ptr<message_queue> queue;
    size_t size;
};

struct end_state {
    message_queue *queue;
    size_t size;
    void *buffer;
};

int fits(const struct bench_shape *)
{
    return 1;
}

/* The children inherit the mapping, so the name can go at once. */
int open_link(const struct bench_shape *shape, void **ret_link, char *ret_note)
try {
    static unsigned count;
    std::string name = "shoal-bench-" + std::to_string(getpid()) + "-" + std::to_string(count++);
    auto link = std::make_unique<link_state>();
    link->queue =
        std::make_unique<message_queue>(boost::interprocess::create_only, name.c_str(), shape->slots, shape->size);
    link->size = shape->size;
    message_queue::remove(name.c_str());
    snprintf(ret_note, 160, "%u slots", shape->slots);
    *ret_link = link.release();
    return 0;
} catch (const std::exception &) {
    return -ENOMEM;
}

void close_link(void *link)
{
    delete static_cast<link_state *>(link);
}

int enter(void *context, enum bench_role, unsigned, void **ret_end)
{
    auto link = static_cast<link_state *>(context);
    auto end = new end_state{link->queue.get(), link->size, bench_buffer(link->size)};
    *ret_end = end;
    return end->buffer ? 0 : -ENOMEM;
}

void leave(void *context)
{
    auto end = static_cast<end_state *>(context);
    free(end->buffer);
    delete end;
}

void *begin(void *context, size_t)
{
    return static_cast<end_state *>(context)->buffer;
}

int commit(void *context, void *message, size_t size)
try {
    static_cast<end_state *>(context)->queue->send(message, size, 0);
    return 0;
} catch (const std::exception &) {
    return -EIO;
}

ssize_t take(void *context, void **ret_message)
try {
    auto end = static_cast<end_state *>(context);
    message_queue::size_type size;
    unsigned priority;
    end->queue->receive(end->buffer, end->size, size, priority);
    *ret_message = end->buffer;
    return static_cast<ssize_t>(size);
} catch (const std::exception &) {
    return -EIO;
}

const struct bench_ops ops = {begin, commit, nullptr, take, nullptr, 1};
BENCH_LOOPS(ops)

struct bench_peer describe()
{
    struct bench_peer peer = {};
    peer.name = "Boost message_queue";
    peer.fits = fits;
    peer.open = open_link;
    peer.close = close_link;
    peer.enter = enter;
    peer.leave = leave;
    peer.produce = loop_produce;
    peer.consume = loop_consume;
    peer.ping = loop_ping;
    peer.pong = loop_pong;
    peer.put_get = loop_put_get;
    peer.send_last = loop_send_last;
    return peer;
}

} // namespace

extern "C" const struct bench_peer bench_boost = describe();
