#include "operations.hpp"

#include <openvino/core/extension.hpp>
#include <openvino/core/op_extension.hpp>
#include <openvino/core/parallel.hpp>
#include <openvino/op/constant.hpp>

namespace measured_nas {
namespace {

Activation activation_of(const std::string& name) {
    static const std::map<std::string, Activation> known{
        {"none", Activation::none}, {"relu", Activation::relu}, {"relu6", Activation::relu6},
        {"silu", Activation::silu}, {"gelu", Activation::gelu}, {"hard_swish", Activation::hard_swish}};
    const auto found = known.find(name);
    OPENVINO_ASSERT(found != known.end(), "unknown activation ", name);
    return found->second;
}

// The named instruction set; the processor's best one if no name is given or the processor lacks it.
const InstructionSet& instruction_set_of(const std::string& name) {
    for (int32_t i = 0; i < num_instruction_sets; i++)
        if (name == instruction_sets[i]->name && instruction_sets[i]->available()) return *instruction_sets[i];
    return best_instruction_set();
}

template <typename Operation>
std::shared_ptr<ov::Node> copied(const Operation& operation, const ov::OutputVector& inputs) {
    auto found = std::make_shared<Operation>(operation);
    found->set_arguments(inputs);
    found->validate_and_infer_types();
    return found;
}

// The shape (N, C, H, W) of an image, which may be stored as (N, H, W, C).
ov::Shape channels_first(const ov::Shape& shape, bool last) {
    return last ? ov::Shape{shape[0], shape[3], shape[1], shape[2]} : shape;
}

// A layer's values for each image, multiplied by the scales (N, inputs) of the inputs that they belong to.
std::vector<float> scaled(const SparseLayer& layer, const float* scales, int64_t images) {
    const int64_t entries = layer.starts[layer.blocks()];
    std::vector<float> found(images * entries * layer.rows);
    float* to = found.data();
    for (int64_t image = 0; image < images; image++, scales += layer.inputs) {
        const float* value = layer.values;
        for (int64_t entry = 0; entry < entries; entry++)
            for (int32_t row = 0; row < layer.rows; row++) *to++ = *value++ * scales[layer.columns[entry]];
    }
    return found;
}

}  // namespace

void SparseSettings::visit(ov::AttributeVisitor& visitor, const std::string& prefix) {
    visitor.on_attribute(prefix + "rows", rows);
    visitor.on_attribute(prefix + "width", width);
    visitor.on_attribute(prefix + "activation", activation);
    visitor.on_attribute(prefix + "instruction_set", instruction_set);
}

Expansion SparseSettings::with(const ov::Tensor* tensors, int64_t outputs, int64_t inputs, bool channels_last) const {
    const InstructionSet& kernels = instruction_set_of(instruction_set);
    const SparseLayer layer{int32_t(outputs), int32_t(inputs), int32_t(rows), activation_of(activation), channels_last,
                            tensors[2].data<const int32_t>(), tensors[1].data<const int32_t>(),
                            tensors[0].data<const float>(), tensors[3].data<const float>()};
    return {layer, &kernels, int32_t(width ? width : kernels.sparse_widths(layer.rows)[0])};
}

void SparseConvolution::validate_and_infer_types() {
    ov::PartialShape shape = get_input_partial_shape(0);
    OPENVINO_ASSERT(shape.rank().is_static() && shape.rank().get_length() >= 2, "x must be (N, C, …), or (…, C)");
    OPENVINO_ASSERT(get_input_size() == 5 || !m_channels_last, "x with channels last can't be scaled");
    shape[m_channels_last ? shape.size() - 1 : 1] = m_outputs;
    set_output_type(0, get_input_element_type(0), shape);
}

std::shared_ptr<ov::Node> SparseConvolution::clone_with_new_inputs(const ov::OutputVector& inputs) const {
    return copied(*this, inputs);
}

bool SparseConvolution::visit_attributes(ov::AttributeVisitor& visitor) {
    visitor.on_attribute("outputs", m_outputs);
    visitor.on_attribute("channels_last", m_channels_last);
    m_settings.visit(visitor, "");
    return true;
}

bool SparseConvolution::evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const {
    const ov::Shape& shape = inputs[0].get_shape();
    outputs[0].set_shape(get_output_shape(0));
    const Expansion given = m_settings.with(&inputs[1], m_outputs, m_channels_last ? shape.back() : shape[1], m_channels_last);
    const SparseLayer& layer = given.layer;
    const InstructionSet& kernels = *given.kernels;
    const int64_t images = m_channels_last ? 1 : shape[0], pixels = ov::shape_size(shape) / (layer.inputs * images);
    const int64_t vectors = (pixels + kernels.lanes - 1) / kernels.lanes, tiles = (vectors + given.width - 1) / given.width;
    const std::vector<float> values = inputs.size() > 5 ? scaled(layer, inputs[5].data<const float>(), images) : std::vector<float>();
    const float* x = inputs[0].data<const float>();
    float* y = outputs[0].data<float>();
    // Threads share the tiles of pixels, and also the blocks of outputs of each tile if there are fewer tiles than threads.
    const int64_t parts = std::max<int64_t>(1, parallel_get_max_threads() / (images * tiles));
    ov::parallel_for3d(images, tiles, parts, [&](int64_t image, int64_t tile, int64_t part) {
        SparseLayer own = layer;
        if (!values.empty()) own.values = values.data() + values.size() / images * image;
        kernels.sparse(own, given.width, x + image * layer.inputs * pixels, y + image * layer.outputs * pixels, pixels,
                       vectors * tile / tiles, vectors * (tile + 1) / tiles, layer.blocks() * part / parts,
                       layer.blocks() * (part + 1) / parts);
    });
    return true;
}

void DepthwiseConvolution::validate_and_infer_types() {
    const ov::PartialShape& given = get_input_partial_shape(0);
    const ov::Shape& kernel = get_input_shape(1);
    OPENVINO_ASSERT(given.is_static() && given.size() == 4, "x must have four dimensions of known sizes");
    OPENVINO_ASSERT(get_input_size() == 3 || !m_reads_last, "x of a sparse layer must have its channels first");
    ov::Shape shape = channels_first(given.to_shape(), m_reads_last);
    shape[1] = kernel[0];
    for (size_t i = 0; i < 2; i++)
        shape[i + 2] = (int64_t(shape[i + 2]) + m_pads_begin[i] + m_pads_end[i] - int64_t(kernel[i + 1])) / m_stride + 1;
    const ov::Shape last{shape[0], shape[2], shape[3], shape[1]};
    set_output_type(0, get_input_element_type(0), m_writes_last ? last : shape);
    if (m_means) set_output_type(1, get_input_element_type(0), ov::Shape{shape[0], shape[1], 1, 1});
    m_spectrum = std::make_shared<Spectrum>();
}

std::shared_ptr<ov::Node> DepthwiseConvolution::clone_with_new_inputs(const ov::OutputVector& inputs) const {
    return copied(*this, inputs);
}

bool DepthwiseConvolution::visit_attributes(ov::AttributeVisitor& visitor) {
    visitor.on_attribute("stride", m_stride);
    visitor.on_attribute("pads_begin", m_pads_begin);
    visitor.on_attribute("pads_end", m_pads_end);
    visitor.on_attribute("method", m_method);
    visitor.on_attribute("means", m_means);
    visitor.on_attribute("reads_last", m_reads_last);
    visitor.on_attribute("writes_last", m_writes_last);
    visitor.on_attribute("activation", m_activation);
    visitor.on_attribute("instruction_set", m_instruction_set);
    m_expansion.visit(visitor, "expansion_");
    return true;
}

const float* DepthwiseConvolution::spectrum_of(const DepthwiseLayer& layer, const InstructionSet& kernels) const {
    const size_t size = m_method == "fourier" && ov::is_type<ov::op::v0::Constant>(get_input_node_ptr(1)) ? kernels.spectrum_size(layer) : 0;
    if (size == 0) return nullptr;
    std::call_once(m_spectrum->written, [&] {
        m_spectrum->values = ov::Tensor(ov::element::f32, {size});
        kernels.write_spectrum(layer, m_spectrum->values.data<float>());
    });
    return m_spectrum->values.data<const float>();
}

DepthwiseLayer DepthwiseConvolution::layer_of(const ov::TensorVector& inputs, const InstructionSet& kernels) const {
    const ov::Shape shape = channels_first(inputs[0].get_shape(), m_reads_last), &kernel = inputs[1].get_shape();
    const ov::Shape out = channels_first(get_output_shape(0), m_writes_last);
    DepthwiseLayer layer{int32_t(kernel[0]), int32_t(shape[2]), int32_t(shape[3]), int32_t(kernel[1]), int32_t(kernel[2]),
                         int32_t(m_stride), int32_t(m_pads_begin[0]), int32_t(m_pads_begin[1]), int32_t(out[2]),
                         int32_t(out[3]), activation_of(m_activation), m_reads_last, m_writes_last,
                         m_method == "channels", inputs[1].data<const float>(), inputs[2].data<const float>(), nullptr};
    layer.spectrum = spectrum_of(layer, kernels);
    return layer;
}

bool DepthwiseConvolution::evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const {
    for (size_t i = 0; i < outputs.size(); i++) outputs[i].set_shape(get_output_shape(i));
    const ov::Shape& shape = inputs[0].get_shape();
    const InstructionSet& kernels = instruction_set_of(m_instruction_set);
    const DepthwiseLayer layer = layer_of(inputs, kernels);
    const bool expands = inputs.size() > 3;
    const Expansion expansion = expands ? m_expansion.with(&inputs[3], layer.channels, shape[1], false) : Expansion{};
    const Chain chain{expands ? &expansion : nullptr, layer, &kernels};
    const float* x = inputs[0].data<const float>();
    float *y = outputs[0].data<float>(), *means = m_means ? outputs[1].data<float>() : nullptr;
    const size_t images = shape[0], read = inputs[0].get_size() / images, written = outputs[0].get_size() / images;
    // Each part is a range of channels, because a kernel makes its preparations once per range.
    const size_t channels = layer.channels, unit = chain.unit(), units = (channels + unit - 1) / unit;
    const size_t parts = std::min<size_t>(units, parallel_get_max_threads() * (parallel_get_max_threads() > 1 ? 4 : 1));
    ov::parallel_for2d(images, parts, [&](size_t image, size_t part) {
        const size_t first = units * part / parts * unit, last = std::min(channels, units * (part + 1) / parts * unit);
        chain.compute(x + image * read, y + image * written, means ? means + image * channels : nullptr, int32_t(first), int32_t(last));
    });
    return true;
}

}  // namespace measured_nas

OPENVINO_CREATE_EXTENSIONS(std::vector<ov::Extension::Ptr>({
    std::make_shared<ov::OpExtension<measured_nas::SparseConvolution>>(),
    std::make_shared<ov::OpExtension<measured_nas::DepthwiseConvolution>>(),
}));
