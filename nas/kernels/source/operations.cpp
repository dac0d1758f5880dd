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

// That of the name; the processor's best where it is another processor's or not given.
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

}  // namespace

void SparseConvolution::validate_and_infer_types() {
    ov::PartialShape shape = get_input_partial_shape(0);
    OPENVINO_ASSERT(shape.rank().is_static() && shape.rank().get_length() >= 2, "x must be (N, C, …), or (…, C)");
    shape[m_channels_last ? shape.size() - 1 : 1] = m_outputs;
    set_output_type(0, get_input_element_type(0), shape);
}

std::shared_ptr<ov::Node> SparseConvolution::clone_with_new_inputs(const ov::OutputVector& inputs) const {
    return copied(*this, inputs);
}

bool SparseConvolution::visit_attributes(ov::AttributeVisitor& visitor) {
    visitor.on_attribute("outputs", m_outputs);
    visitor.on_attribute("rows", m_rows);
    visitor.on_attribute("width", m_width);
    visitor.on_attribute("channels_last", m_channels_last);
    visitor.on_attribute("activation", m_activation);
    visitor.on_attribute("instruction_set", m_instruction_set);
    return true;
}

bool SparseConvolution::evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const {
    const ov::Shape& shape = inputs[0].get_shape();
    outputs[0].set_shape(get_output_shape(0));
    const InstructionSet& kernels = instruction_set_of(m_instruction_set);
    const SparseLayer layer{int32_t(m_outputs), int32_t(m_channels_last ? shape.back() : shape[1]), int32_t(m_rows),
                            activation_of(m_activation), m_channels_last,
                            inputs[3].data<const int32_t>(), inputs[2].data<const int32_t>(),
                            inputs[1].data<const float>(), inputs[4].data<const float>()};
    const int64_t images = m_channels_last ? 1 : shape[0], pixels = ov::shape_size(shape) / (layer.inputs * images);
    const int64_t width = m_width ? m_width : kernels.sparse_widths(layer.rows)[0];
    const int64_t vectors = (pixels + kernels.lanes - 1) / kernels.lanes, tiles = (vectors + width - 1) / width;
    const float* x = inputs[0].data<const float>();
    float* y = outputs[0].data<float>();
    // Tiles of pixels are shared out, and of each the blocks of outputs where there are fewer tiles than threads.
    const int64_t parts = std::max<int64_t>(1, parallel_get_max_threads() / (images * tiles));
    ov::parallel_for3d(images, tiles, parts, [&](int64_t image, int64_t tile, int64_t part) {
        kernels.sparse(layer, int32_t(width), x + image * layer.inputs * pixels, y + image * layer.outputs * pixels, pixels,
                       vectors * tile / tiles, vectors * (tile + 1) / tiles, layer.blocks() * part / parts,
                       layer.blocks() * (part + 1) / parts);
    });
    return true;
}

void DepthwiseConvolution::validate_and_infer_types() {
    ov::PartialShape shape = get_input_partial_shape(0);
    const ov::Shape& kernel = get_input_shape(1);
    OPENVINO_ASSERT(shape.is_static() && shape.size() == 4, "x must be (N, C, H, W)");
    for (size_t i = 0; i < 2; i++)
        shape[i + 2] = (shape[i + 2].get_length() + m_pads_begin[i] + m_pads_end[i] - int64_t(kernel[i + 1])) / m_stride + 1;
    set_output_type(0, get_input_element_type(0), shape);
    m_spectrum = std::make_shared<Spectrum>();
}

std::shared_ptr<ov::Node> DepthwiseConvolution::clone_with_new_inputs(const ov::OutputVector& inputs) const {
    return copied(*this, inputs);
}

bool DepthwiseConvolution::visit_attributes(ov::AttributeVisitor& visitor) {
    visitor.on_attribute("stride", m_stride);
    visitor.on_attribute("pads_begin", m_pads_begin);
    visitor.on_attribute("pads_end", m_pads_end);
    visitor.on_attribute("fourier", m_fourier);
    visitor.on_attribute("activation", m_activation);
    visitor.on_attribute("instruction_set", m_instruction_set);
    return true;
}

const float* DepthwiseConvolution::spectrum_of(const DepthwiseLayer& layer, const InstructionSet& kernels) const {
    const size_t size = m_fourier && ov::is_type<ov::op::v0::Constant>(get_input_node_ptr(1)) ? kernels.spectrum_size(layer) : 0;
    if (size == 0) return nullptr;
    std::call_once(m_spectrum->written, [&] {
        m_spectrum->values = ov::Tensor(ov::element::f32, {size});
        kernels.write_spectrum(layer, m_spectrum->values.data<float>());
    });
    return m_spectrum->values.data<const float>();
}

bool DepthwiseConvolution::evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const {
    const ov::Shape &shape = inputs[0].get_shape(), &kernel = inputs[1].get_shape(), &out = get_output_shape(0);
    outputs[0].set_shape(out);
    const InstructionSet& kernels = instruction_set_of(m_instruction_set);
    DepthwiseLayer layer{int32_t(shape[1]), int32_t(shape[2]), int32_t(shape[3]), int32_t(kernel[1]), int32_t(kernel[2]),
                               int32_t(m_stride), int32_t(m_pads_begin[0]), int32_t(m_pads_begin[1]), int32_t(out[2]),
                               int32_t(out[3]), activation_of(m_activation), inputs[1].data<const float>(),
                               inputs[2].data<const float>(), nullptr};
    layer.spectrum = spectrum_of(layer, kernels);
    const float* x = inputs[0].data<const float>();
    float* y = outputs[0].data<float>();
    // A range of channels each: what the kernel prepares, it prepares for a range. Fourier transforms are of whole vectors.
    const size_t unit = layer.spectrum ? kernels.lanes : 1, units = (shape[1] + unit - 1) / unit;
    const size_t parts = std::min<size_t>(units, parallel_get_max_threads() * (parallel_get_max_threads() > 1 ? 4 : 1));
    ov::parallel_for2d(shape[0], parts, [&](size_t image, size_t part) {
        const size_t first = units * part / parts * unit, last = std::min(shape[1], units * (part + 1) / parts * unit);
        kernels.depthwise(layer, x + image * shape[1] * shape[2] * shape[3], y + image * out[1] * out[2] * out[3],
                          int32_t(first), int32_t(last));
    });
    return true;
}

}  // namespace measured_nas

OPENVINO_CREATE_EXTENSIONS(std::vector<ov::Extension::Ptr>({
    std::make_shared<ov::OpExtension<measured_nas::SparseConvolution>>(),
    std::make_shared<ov::OpExtension<measured_nas::DepthwiseConvolution>>(),
}));
