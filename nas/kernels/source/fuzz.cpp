// Compares random layers, in every instruction set, with sums in double precision. Each array that a layer reads or writes
// is a heap block of exactly its size, so that the address sanitizer detects accesses beyond it.
//
// usage: fuzz SHAPES SEED
#include <cstdio>
#include <cstdlib>

#include "chain.hpp"
#include "fuzz.hpp"

namespace {

// Largest error allowed, relative to the largest sum of the absolute values of an output's terms.
constexpr double allowed_error = 1e-5;

struct SparseCase {
    SparseLayer layer;
    Integers starts, columns;
    Floats values, bias;

    explicit SparseCase(Random& random) {
        const int32_t rows = 1 << random.between(0, 2), outputs = random.size(100), inputs = random.size(40);
        const int32_t blocks = (outputs + rows - 1) / rows, chance = random.between(0, 10);
        starts.reset(new int32_t[blocks + 1]{});
        std::unique_ptr<bool[]> kept(new bool[int64_t(blocks) * inputs]);
        for (int64_t i = 0; i < int64_t(blocks) * inputs; i++) {
            kept[i] = random.between(0, 9) < chance;
            starts[i / inputs + 1] += kept[i];
        }
        for (int32_t block = 0; block < blocks; block++) starts[block + 1] += starts[block];
        columns.reset(new int32_t[starts[blocks]]);
        values = random.numbers(int64_t(starts[blocks]) * rows);
        for (int64_t i = 0, entry = 0; i < int64_t(blocks) * inputs; i++)
            if (kept[i]) columns[entry++] = int32_t(i % inputs);
        for (int64_t entry = starts[blocks - 1]; entry < starts[blocks]; entry++)
            for (int32_t row = outputs - (blocks - 1) * rows; row < rows; row++) values[entry * rows + row] = 0;
        bias = random.numbers(outputs);
        layer = {outputs, inputs, rows, random.activation(), random.between(0, 1), starts.get(), columns.get(), values.get(),
                 bias.get()};
    }

    Sum right(const float* x, int64_t pixels, int64_t pixel, int32_t output) const {
        Sum found{};
        found.add(bias[output]);
        for (int32_t entry = starts[output / layer.rows]; entry < starts[output / layer.rows + 1]; entry++) {
            const int64_t at = layer.channels_last ? pixel * layer.inputs + columns[entry] : columns[entry] * pixels + pixel;
            found.add(double(values[int64_t(entry) * layer.rows + output % layer.rows]) * x[at]);
        }
        return found;
    }
};

// Computes a layer in parts, as threads would share it.
double sparse_error(const InstructionSet& kernels, Random& random) {
    const SparseCase given(random);
    const SparseLayer& layer = given.layer;
    const int64_t pixels = random.between(0, 9) ? random.size(300) : 256 * random.between(1, 2);
    const Floats x = random.numbers(layer.inputs * pixels), y = unwritten(layer.outputs * pixels);
    const int64_t vectors = (pixels + kernels.lanes - 1) / kernels.lanes;
    const int32_t width = random.between(1, 16), tiles = random.between(1, 3), parts = random.between(1, 3);
    for (int32_t tile = 0; tile < tiles; tile++)
        for (int32_t part = 0; part < parts; part++)
            kernels.sparse(layer, width, x.get(), y.get(), pixels, vectors * tile / tiles, vectors * (tile + 1) / tiles,
                           layer.blocks() * part / parts, layer.blocks() * (part + 1) / parts);
    Comparison comparison(layer.activation);
    for (int64_t pixel = 0; pixel < pixels; pixel++)
        for (int32_t output = 0; output < layer.outputs; output++)
            comparison.add(y[layer.channels_last ? pixel * layer.outputs + output : output * pixels + pixel],
                           given.right(x.get(), pixels, pixel, output));
    return comparison.error();
}

// The index of a channel's pixel in an image of that number of channels and pixels.
int64_t place(int64_t channel, int64_t pixel, int64_t channels, int64_t pixels, bool last) {
    return last ? pixel * channels + channel : channel * pixels + pixel;
}

Sum right(const DepthwiseLayer& layer, const float* x, int32_t channel, int32_t row, int32_t column) {
    Sum found{};
    found.add(layer.bias[channel]);
    for (int32_t i = 0; i < layer.kernel_height; i++)
        for (int32_t j = 0; j < layer.kernel_width; j++) {
            const int64_t from = int64_t(row) * layer.stride - layer.top + i, at = int64_t(column) * layer.stride - layer.left + j;
            if (from < 0 || from >= layer.height || at < 0 || at >= layer.width) continue;
            const int64_t tap = (int64_t(channel) * layer.kernel_height + i) * layer.kernel_width + j;
            const int64_t pixels = int64_t(layer.height) * layer.width, pixel = from * layer.width + at;
            found.add(double(layer.weights[tap]) * x[place(channel, pixel, layer.channels, pixels, layer.reads_last)]);
        }
    return found;
}

// A number of channels: less than a group of Fourier transforms, or one or two groups, sometimes with a part of the next.
int32_t random_channels(const InstructionSet& kernels, Random& random) {
    return random.between(0, 1) ? random.between(1, 3) : kernels.lanes * random.between(1, 2) + random.between(0, 1);
}

// Kernels of sizes that have tiles of their own, with widths at and near those where rows fill vectors or half vectors.
void make_small(DepthwiseLayer& layer, int32_t lanes, Random& random) {
    layer.stride = random.between(1, 2), layer.kernel_height = layer.kernel_width = random.between(0, 1) ? 3 : 5;
    layer.left = layer.kernel_width / 2, layer.top = random.between(0, 3) ? layer.left : random.between(0, layer.kernel_height);
    layer.width = random.between(0, 3) ? layer.stride * random.between(1, 2 * lanes + 9) : random.size(60);
    layer.height = random.size(40);
}

struct DepthwiseCase {
    DepthwiseLayer layer{};
    Floats weights, bias, spectrum;

    DepthwiseCase(const InstructionSet& kernels, Random& random, int32_t channels) {
        layer.channels = channels;
        layer.kernel_height = random.size(31), layer.kernel_width = random.between(0, 2) ? layer.kernel_height : random.size(31);
        layer.height = random.size(60), layer.width = random.between(0, 2) ? layer.height : random.size(60);
        layer.stride = random.between(0, 3) ? random.between(1, 3) : random.between(4, 40);
        layer.top = random.between(0, layer.kernel_height), layer.left = random.between(0, layer.kernel_width);
        int32_t bottom = random.between(0, layer.kernel_height), right_side = random.between(0, layer.kernel_width);
        if (random.between(0, 2) == 0) {
            make_small(layer, kernels.lanes, random);
            bottom = random.between(0, 3) ? layer.top : bottom, right_side = random.between(0, 3) ? layer.left : right_side;
        }
        const int32_t high = layer.height + layer.top + bottom - layer.kernel_height;
        const int32_t wide = layer.width + layer.left + right_side - layer.kernel_width;
        if (high < 0 || wide < 0) return;
        layer.out_height = high / layer.stride + 1, layer.out_width = wide / layer.stride + 1;
        layer.activation = random.activation();
        layer.reads_last = random.between(0, 1), layer.writes_last = random.between(0, 1);
        layer.by_channels = random.between(0, 1);
        weights = random.numbers(int64_t(layer.channels) * layer.kernel_height * layer.kernel_width);
        bias = random.numbers(layer.channels);
        layer.weights = weights.get(), layer.bias = bias.get();
        const int64_t size = random.between(0, 3) ? kernels.spectrum_size(layer) : 0;
        spectrum = unwritten(size);
        if (size == 0) return;
        kernels.write_spectrum(layer, spectrum.get());
        layer.spectrum = spectrum.get();
    }

    bool fits() const { return layer.out_height > 0; }  // the kernel, somewhere
    int64_t read() const { return int64_t(layer.height) * layer.width; }
    int64_t written() const { return int64_t(layer.out_height) * layer.out_width; }
};

double depthwise_error(const InstructionSet& kernels, Random& random) {
    const DepthwiseCase given(kernels, random, random_channels(kernels, random));
    if (!given.fits()) return 0;
    const DepthwiseLayer& layer = given.layer;
    const Floats x = random.numbers(layer.channels * given.read()), y = unwritten(layer.channels * given.written());
    const int32_t half = random.between(0, layer.channels);
    kernels.depthwise(layer, x.get(), y.get(), 0, half);
    kernels.depthwise(layer, x.get(), y.get(), half, layer.channels);
    Comparison comparison(layer.activation);
    for (int32_t channel = 0; channel < layer.channels; channel++)
        for (int32_t row = 0; row < layer.out_height; row++)
            for (int32_t column = 0; column < layer.out_width; column++) {
                const int64_t pixel = int64_t(row) * layer.out_width + column;
                comparison.add(y[place(channel, pixel, layer.channels, given.written(), layer.writes_last)],
                               right(layer, x.get(), channel, row, column));
            }
    return comparison.error();
}

// Compares a chain with its layers one after the other, in sums of double precision.
double chain_error(const InstructionSet& kernels, Random& random) {
    SparseCase sparse(random);
    sparse.layer.channels_last = false;
    DepthwiseCase given(kernels, random, sparse.layer.outputs);
    if (!given.fits()) return 0;
    const int64_t channels = given.layer.channels, vectors = (given.read() + kernels.lanes - 1) / kernels.lanes;
    const int32_t width = random.between(1, 8), expands = random.between(0, 2);
    if (expands) given.layer.reads_last = false;
    const Floats x = random.numbers((expands ? sparse.layer.inputs : channels) * given.read());
    const Floats between = unwritten(channels * given.read()), expected = unwritten(channels * given.written());
    if (expands) kernels.sparse(sparse.layer, width, x.get(), between.get(), given.read(), 0, vectors, 0, sparse.layer.blocks());
    kernels.depthwise(given.layer, expands ? between.get() : x.get(), expected.get(), 0, int32_t(channels));
    const Floats y = unwritten(channels * given.written()), means = unwritten(channels);
    const Expansion expansion{sparse.layer, &kernels, width};
    const Chain chain{expands ? &expansion : nullptr, given.layer, &kernels};
    const int32_t half = random.between(0, int32_t(channels)) / chain.unit() * chain.unit();
    chain.compute(x.get(), y.get(), means.get(), 0, half);
    chain.compute(x.get(), y.get(), means.get(), half, int32_t(channels));
    Comparison comparison(Activation::none);
    for (int64_t channel = 0; channel < channels; channel++) {
        Sum mean{};
        for (int64_t pixel = 0; pixel < given.written(); pixel++) {
            const int64_t at = place(channel, pixel, channels, given.written(), given.layer.writes_last);
            comparison.add(y[at], {expected[at], std::fabs(expected[at])});
            mean.add(double(expected[at]) / double(given.written()));
        }
        comparison.add(means[channel], mean);
    }
    return comparison.error();
}

// The worst error of `shapes` layers of each kind in each instruction set that this processor has.
double worst_error(int32_t shapes, uint32_t seed) {
    Random random{std::mt19937(seed)};
    double worst = 0;
    for (int32_t shape = 0; shape < shapes; shape++)
        for (int32_t i = 0; i < num_instruction_sets; i++) {
            if (!instruction_sets[i]->available()) continue;
            const InstructionSet& kernels = *instruction_sets[i];
            const double sparse = sparse_error(kernels, random), depthwise = depthwise_error(kernels, random);
            const double chain = chain_error(kernels, random), largest = std::fmax(chain, std::fmax(sparse, depthwise));
            if (!(largest <= allowed_error))
                std::printf("%s, shape %d: error %g sparse, %g depthwise, %g chain\n", kernels.name, shape, sparse, depthwise, chain);
            worst = std::fmax(worst, largest);
        }
    return worst;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return std::puts("usage: fuzz SHAPES SEED"), 2;
    const double worst = worst_error(std::atoi(argv[1]), uint32_t(std::atoi(argv[2])));
    std::printf("%s shapes of each kind and instruction set, worst error %g\n", argv[1], worst);
    return worst <= allowed_error ? 0 : 1;
}
