// What Python calls for a whole step.

extern "C" void decode_step_float32(const Model<float>* model, const Step* step) { decode_step(*model, *step); }

extern "C" void decode_step_bfloat16(const Model<bfloat16>* model, const Step* step) { decode_step(*model, *step); }
