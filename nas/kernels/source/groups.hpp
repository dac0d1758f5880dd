// Groups of LANES channels: the values of a group at one pixel form a vector.
#pragma once

#include "activation.hpp"
#include "kernels.hpp"
#include "transpose.hpp"

namespace INSTRUCTION_SET {

// Channels first … end - 1 of one group. Lanes without a channel are left unchanged.
struct InGroup {
    int32_t first, end;

    int32_t lane() const { return first % LANES; }
    int32_t count() const { return end - first; }
};

// The channels from `first` on that are in the group of `first`.
inline InGroup group_of(int32_t first, int32_t end) { return {first, int32_t(least(end, first / LANES * LANES + LANES))}; }

// `size` numbers of each of `channels` channels. The numbers of one channel lie side by side or, if `last`, the numbers of
// all channels at one pixel.
struct Layout {
    int64_t channels, size;
    bool last;
};

// Copies `count` floats of each of `pixels` pixels.
inline void copy_pixels(const float* from, int64_t from_step, int64_t pixels, int64_t count, float* to, int64_t to_step) {
    for (; pixels > 0; pixels--, from += from_step, to += to_step) {
        if (count == LANES) store(to, load(from));
        else for (int64_t i = 0; i < count; i++) to[i] = from[i];
    }
}

// Copies numbers start … start + count - 1 of a group's channels to vectors.
inline void gather(const Layout& layout, const float* from, InGroup channels, int64_t start, int64_t count, float* to) {
    to += channels.lane();
    if (layout.last) copy_pixels(from + start * layout.channels + channels.first, layout.channels, count, channels.count(), to, LANES);
    else transpose(from + channels.first * layout.size + start, layout.size, channels.count(), count, to, LANES);
}

// Copies vectors back to a group's channels; the inverse of gather.
inline void scatter(const Layout& layout, const float* from, InGroup channels, int64_t start, int64_t count, float* to) {
    from += channels.lane();
    if (layout.last) copy_pixels(from, LANES, count, channels.count(), to + start * layout.channels + channels.first, layout.channels);
    else transpose(from, LANES, count, channels.count(), to + channels.first * layout.size + start, layout.size);
}

inline Layout layout_of_image(const DepthwiseLayer& layer) {
    return {layer.channels, int64_t(layer.height) * layer.width, bool(layer.reads_last)};
}
inline Layout layout_of_output(const DepthwiseLayer& layer) {
    return {layer.channels, int64_t(layer.out_height) * layer.out_width, bool(layer.writes_last)};
}
inline Layout layout_of_kernels(const DepthwiseLayer& layer) {
    return {layer.channels, int64_t(layer.kernel_height) * layer.kernel_width, false};
}

// The bias of a group's channels; zero in lanes without a channel.
inline Vector bias_of(const DepthwiseLayer& layer, InGroup channels) {
    float lanes[LANES] = {};
    std::memcpy(lanes + channels.lane(), layer.bias + channels.first, channels.count() * sizeof(float));
    return load(lanes);
}

// Applies an activation to `count` floats: first its bounds, then its curve.
inline void finish_vectors(const Finish& finish, float* values, int64_t count) {
    for (int64_t at = 0; at < count; at += LANES) store(values + at, bounded(load(values + at), finish.low, finish.high));
    if (finish.curved) curve(values, count, finish.activation);
}

}  // namespace INSTRUCTION_SET
