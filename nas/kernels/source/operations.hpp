// The library's OpenVINO operations.
#pragma once

#include <mutex>

#include <openvino/op/op.hpp>
#include <openvino/runtime/tensor.hpp>

#include "chain.hpp"

namespace measured_nas {

// How a sparse layer is computed.
struct SparseSettings {
    int64_t rows = 1, width = 0;
    std::string activation = "none", instruction_set;

    void visit(ov::AttributeVisitor& visitor, const std::string& prefix);
    // The layer with these settings; `tensors` are values, columns, starts, bias (see SparseLayer).
    Expansion with(const ov::Tensor* tensors, int64_t outputs, int64_t inputs, bool channels_last) const;
};

// Inputs: x (N, inputs, …), values, columns, starts, bias (see SparseLayer) and, if x is to be scaled, scales (N, inputs, …).
// Output: (N, outputs, …). Channels last, both are (…, inputs) and (…, outputs).
class SparseConvolution : public ov::op::Op {
public:
    OPENVINO_OP("SparseConvolution", "measured_nas");
    SparseConvolution() = default;
    void validate_and_infer_types() override;
    std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& inputs) const override;
    bool visit_attributes(ov::AttributeVisitor& visitor) override;
    bool evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override;
    bool has_evaluate() const override { return true; }

private:
    int64_t m_outputs = 0;
    bool m_channels_last = false;
    SparseSettings m_settings;
};

// Inputs: x (N, channels, height, width), weights (channels, kernel height, kernel width), bias (channels). If a sparse layer
// computes the convolution's input, x is (N, inputs, height, width), and values, columns, starts, bias of that layer follow.
// Outputs: (N, channels, height, width) and, with the attribute `means`, its means (N, channels, 1, 1). With `reads_last` or
// `writes_last`, the input or output is (N, height, width, channels).
class DepthwiseConvolution : public ov::op::Op {
public:
    OPENVINO_OP("DepthwiseConvolution", "measured_nas");
    DepthwiseConvolution() = default;
    void validate_and_infer_types() override;
    std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& inputs) const override;
    bool visit_attributes(ov::AttributeVisitor& visitor) override;
    bool evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override;
    bool has_evaluate() const override { return true; }

private:
    // The spectrum of constant weights, computed at its first use.
    struct Spectrum {
        std::once_flag written;
        ov::Tensor values;
    };
    DepthwiseLayer layer_of(const ov::TensorVector& inputs, const InstructionSet& kernels) const;
    const float* spectrum_of(const DepthwiseLayer& layer, const InstructionSet& kernels) const;

    int64_t m_stride = 1;
    std::vector<int64_t> m_pads_begin{0, 0}, m_pads_end{0, 0};
    bool m_means = false, m_reads_last = false, m_writes_last = false;
    std::string m_method = "pixels", m_activation = "none", m_instruction_set;
    SparseSettings m_expansion;
    std::shared_ptr<Spectrum> m_spectrum;
};

}  // namespace measured_nas
